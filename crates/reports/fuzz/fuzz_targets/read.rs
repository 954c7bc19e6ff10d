//! Parses arbitrary bytes as the format in `FORMAT`, or as the format they are recognized as.
#![no_main]

use std::sync::LazyLock;

use devmason_reports::{Format, Read};
use libfuzzer_sys::fuzz_target;

static FORMAT: LazyLock<Option<Format>> =
    LazyLock::new(|| std::env::var("FORMAT").ok().and_then(|word| Format::from_word(&word)));

fuzz_target!(|bytes: &[u8]| {
    let _ = Read::from_bytes(bytes, *FORMAT);
});
