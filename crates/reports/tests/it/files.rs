//! Uploads that are truncated or corrupt: everything before the break is kept, and the break is said.

use std::io::Write;

use bytes::Bytes;
use devmason_reports::files::{Bounds, Gathered, Unpack, gather};
use devmason_reports::{Read, Status};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Room for everything; an error is its text.
struct Roomy;

impl Bounds for Roomy {
    type Error = String;
    fn room(&self, _: usize) -> Result<(), String> {
        Ok(())
    }
    fn bad(&self, problem: String) -> String {
        problem
    }
    fn no_room(&self) -> String {
        "no room".to_owned()
    }
    fn too_long(&self) -> String {
        "too long".to_owned()
    }
}

fn unpacked(upload: &[u8]) -> Vec<Gathered> {
    let files = Unpack::new(1 << 20, &Roomy).each(vec![(None, Bytes::copy_from_slice(upload))]);
    gather(files.unwrap(), &Roomy).unwrap()
}

/// A report of a hundred cases, whose texts hardly compress.
fn report(name: &str) -> Vec<u8> {
    let mut state = 7_u64;
    let cases: String = (0..100)
        .map(|nth| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(nth);
            format!("<testcase name=\"{name} {nth}\"><system-out>{state:x}</system-out></testcase>")
        })
        .collect();
    format!("<testsuite name=\"{name}\" tests=\"100\">{cases}</testsuite>").into_bytes()
}

const NAMES: [&str; 3] = ["a.xml", "sub/b.xml", "c.xml"];

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

fn tar() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for name in NAMES {
        let body = report(name);
        let mut header = tar::Header::new_ustar();
        header.set_size(body.len() as u64);
        tar.append_data(&mut header, name, body.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn zip_of(method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    written(&mut zip, method);
    zip.finish().unwrap().into_inner()
}

/// As a tool writes it that cannot go back: a member's length follows it.
fn streamed_zip_of(method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new_stream(Vec::new());
    written(&mut zip, method);
    zip.finish().unwrap().into_inner()
}

fn written<W: Write + std::io::Seek>(zip: &mut ZipWriter<W>, method: CompressionMethod) {
    zip.add_directory("sub", SimpleFileOptions::default()).unwrap();
    for name in NAMES {
        zip.start_file(name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(&report(name)).unwrap();
    }
}

fn every_kind() -> Vec<(&'static str, Vec<u8>)> {
    use CompressionMethod::{Deflated, Stored};
    let inner = zip_of(Stored);
    let mut nested = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(Stored);
    for name in ["one.zip", "two.zip"] {
        nested.start_file(name, stored).unwrap();
        nested.write_all(&inner).unwrap();
    }
    vec![
        ("gzip", gz(&report("a.xml"))),
        ("tar", tar()),
        ("tar.gz", gz(&tar())),
        ("deflated ZIP", zip_of(Deflated)),
        ("stored ZIP", zip_of(Stored)),
        ("streamed ZIP", streamed_zip_of(Deflated)),
        ("stored and streamed ZIP", streamed_zip_of(Stored)),
        ("ZIP of ZIPs", nested.finish().unwrap().into_inner()),
    ]
}

/// The number of cases that were read, and whether anything says that the upload is incomplete.
fn read_of(upload: &[u8]) -> (usize, bool) {
    let mut cases = 0;
    let mut is_broken = false;
    for file in unpacked(upload) {
        is_broken |= file.broken.is_some();
        if let Ok(read) = Read::from_bytes(&file.body, None) {
            assert!(read.cases.iter().all(|case| case.outcome() == Status::Passed));
            cases += read.cases.len();
        }
    }
    (cases, is_broken)
}

#[test]
fn an_upload_that_is_cut_off_keeps_the_cases_before_the_break() {
    for (kind, whole) in every_kind() {
        let (all, is_broken) = read_of(&whole);
        assert!(!is_broken && all >= 100, "{kind}: {all}");
        let (mut before, mut some) = (0, 0);
        // A shorter one isn't recognized as a tar archive.
        for end in (300..whole.len()).step_by(97).chain([whole.len() - 1]) {
            let (cases, is_broken) = read_of(&whole[..end]);
            // Nothing but zeros follows the end of a tar archive.
            let is_padding =
                kind == "tar" && end > 512 && whole[end - 512..].iter().all(|byte| *byte == 0);
            assert!(is_broken || is_padding, "{kind}, cut at {end} of {}", whole.len());
            // Where nearly everything came, nearly everything is read: a deflate block may be lost.
            assert!(cases >= before, "{kind}, cut at {end}: {cases} after {before}");
            (before, some) = (cases, some + usize::from(cases > 0));
        }
        assert!(before * 10 >= all * 9, "{kind}: {before} of {all}");
        assert!(some > 3, "{kind}: {some}");
    }
}

#[test]
fn a_file_that_is_corrupt_inside_costs_no_other_and_is_named() {
    for method in [CompressionMethod::Deflated, CompressionMethod::Stored] {
        let mut zip = zip_of(method);
        // In the middle of the second file, which is a third of the archive.
        let middle = zip.len() / 2;
        zip[middle..middle + 8].copy_from_slice(&[0xff; 8]);
        let files = unpacked(&zip);
        let named =
            |name: &str| files.iter().find(|file| file.name.as_deref() == Some(name)).unwrap();
        assert!(named("sub/b.xml").broken.as_deref().unwrap().starts_with("invalid ZIP data"));
        for whole in ["a.xml", "c.xml"] {
            assert_eq!(named(whole).broken, None);
            assert_eq!(Read::from_bytes(&named(whole).body, None).unwrap().cases.len(), 100);
        }
    }
    let mut gz = gz(&report("a.xml"));
    let checksum = gz.len() - 8;
    gz[checksum] ^= 1;
    assert_eq!(read_of(&gz), (100, true));
}

#[test]
fn an_upload_that_is_no_archive_in_spite_of_its_start_is_one_unnamed_file() {
    for upload in [&b"\x1f\x8b nothing"[..], b"PK\x03\x04 nothing", b"PK\x05\x06"] {
        let files = unpacked(upload);
        assert_eq!(files.len(), 1, "{files:?}");
        assert!(files[0].name.is_none() && files[0].broken.is_some(), "{files:?}");
    }
}

#[test]
fn a_members_compression_that_is_not_supported_is_said_of_it_alone() {
    let mut zip = zip_of(CompressionMethod::Stored);
    let central = memchr::memmem::rfind(&zip, b"PK\x01\x02").unwrap();
    let local = memchr::memmem::rfind(&zip, b"PK\x03\x04").unwrap();
    // Method 14 is LZMA.
    (zip[central + 10], zip[local + 8]) = (14, 14);
    let files = unpacked(&zip);
    let broken: Vec<_> =
        files.iter().map(|file| (file.name.as_deref(), file.broken.is_some())).collect();
    let of = |name, is_broken| (Some(name), is_broken);
    assert_eq!(broken, [of("a.xml", false), of("sub/b.xml", false), of("c.xml", true)]);
}
