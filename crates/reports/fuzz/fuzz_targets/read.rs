//! Any bytes, read as a report: the first byte says which format, the rest is the file.
#![no_main]

use devmason_reports::{Format, Read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, file)) = bytes.split_first() else { return };
    let format = Format::ALL.get(usize::from(*first) % (Format::ALL.len() + 1)).copied();
    let _ = Read::from_bytes(file, format);
});
