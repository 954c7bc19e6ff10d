//! Unpacks arbitrary bytes as the body and as the details of a strip, and as a piece of a log.
#![no_main]

use devmason_strips::{pack_log, unpack, unpack_details, unpack_log};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // As they are, and as the content of a strip that is not compressed: few inputs are valid zstd.
    let mut plain = vec![1, 0];
    let mut length = bytes.len();
    while length >= 0x80 {
        plain.push(length as u8 | 0x80);
        length >>= 7;
    }
    plain.push(length as u8);
    plain.extend(bytes);
    for stored in [bytes, &plain] {
        if let Ok(body) = unpack(stored) {
            assert_eq!(body.cases().count(), body.len());
        }
        let _ = unpack_details(stored);
        if let Ok(entries) = unpack_log(stored) {
            assert_eq!(unpack_log(&pack_log(&entries)), Ok(entries));
        }
    }
});
