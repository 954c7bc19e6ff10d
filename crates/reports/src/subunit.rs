//! Subunit, version 2: binary packets, each with data about a test.
//!
//! The packets are defined under "Version 2" in the README of python-subunit.

use std::collections::BTreeMap;

use devmason_domain::Timestamp;

use crate::input::Input;
use crate::model::because;
use crate::{Case, Cause, Failure, Note, NoteKind, ReadError, Reason, Sink, Status, Suite};

/// The first byte of each packet.
const SIGNATURE: u8 = 0xb3;

/// The maximum length of a packet, in bytes.
const MAX_PACKET: usize = 4 << 20;

/// The maximum number of tags in a packet.
const MAX_TAGS: usize = 100;

/// The maximum size of a test's attachments that is kept, in bytes.
const MAX_TEXT: usize = 8 << 20;

/// Whether the bytes start like a version 2 packet.
fn begins(bytes: &[u8]) -> bool {
    matches!(bytes, [SIGNATURE]) || matches!(bytes, [SIGNATURE, version, ..] if version >> 4 == 2)
}

/// Whether a truncated packet of a test begins here: one bit of its flags is always 0.
fn is_cut_off(bytes: &[u8]) -> bool {
    let [SIGNATURE, high, low, rest @ ..] = bytes else { return false };
    let flags = u16::from_be_bytes([*high, *low]);
    let is_one = flags >> 12 == 2 && flags & 0x0800 != 0 && flags & 0x0008 == 0;
    is_one && Rest(rest).number().is_some_and(|length| length > bytes.len() && length <= MAX_PACKET)
}

/// Whether there is a packet within the window at the start of a file: a test's output may precede
/// it.
pub(crate) fn looks_like(file: &[u8], window: usize) -> bool {
    let window = file.get(..window).unwrap_or(file);
    let packets = memchr::memchr_iter(SIGNATURE, window);
    let mut packets = packets.filter_map(|at| file.get(at..).and_then(packet));
    packets.next().is_some_and(|(packet, _)| packet.is_some())
}

#[derive(Default)]
struct Packet<'a> {
    status: u8,
    at: Option<Timestamp>,
    test: Option<&'a [u8]>,
    tags: Vec<&'a [u8]>,
    mime: Option<&'a [u8]>,
    file: Option<(&'a [u8], &'a [u8])>,
}

/// Bytes, consumed from the front.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of one to four bytes: the first two bits give the number of further bytes.
    fn number(&mut self) -> Option<usize> {
        let first = *self.0.first()?;
        let bytes = self.bytes(usize::from(first >> 6) + 1)?;
        let value = bytes.iter().fold(0usize, |value, byte| value << 8 | usize::from(*byte));
        Some(value & !(0b11 << (8 * bytes.len() - 2)))
    }

    /// Bytes preceded by their count.
    fn counted(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.bytes(length)
    }
}

/// The packet at the front, unless it is corrupt, and its length. Bytes that are not a packet are
/// usually rejected without examining all of them. A corrupt packet is skipped as a whole:
/// otherwise many could overlap.
fn packet(bytes: &[u8]) -> Option<(Option<Packet<'_>>, usize)> {
    let mut rest = Rest(bytes);
    let [SIGNATURE, high, low] = rest.bytes(3)? else { return None };
    let flags = u16::from_be_bytes([*high, *low]);
    if flags >> 12 != 2 {
        return None;
    }
    let length = rest.number()?;
    if length > MAX_PACKET {
        return None;
    }
    let whole = bytes.get(..length)?;
    let (signed, sum) = whole.split_at_checked(length.checked_sub(4)?)?;
    let head = bytes.len() - rest.0.len();
    let mut rest = Rest(signed.get(head..)?);
    let has = |bit: u16| flags & bit != 0;
    let mut packet = Packet { status: (flags & 0b111) as u8, ..Packet::default() };
    if has(0x0200) {
        let seconds = u32::from_be_bytes(rest.bytes(4)?.try_into().ok()?);
        let nanos = rest.number()?;
        let micros = i64::from(seconds) * 1_000_000 + i64::try_from(nanos / 1000).ok()?;
        packet.at = Timestamp::from_parts(micros, 0);
    }
    if has(0x0800) {
        packet.test = Some(rest.counted()?);
    }
    if has(0x0080) {
        let count = rest.number().filter(|count| *count <= MAX_TAGS)?;
        for _ in 0..count {
            packet.tags.push(rest.counted()?);
        }
    }
    if has(0x0020) {
        packet.mime = Some(rest.counted()?);
    }
    if has(0x0040) {
        packet.file = Some((rest.counted()?, rest.counted()?));
    }
    if has(0x0400) {
        // The packet's route code.
        rest.counted()?;
    }
    if !rest.0.is_empty() {
        return None;
    }
    let mut crc = flate2::Crc::new();
    crc.update(signed);
    let is_whole = crc.sum().to_be_bytes() == sum;
    Some((is_whole.then_some(packet), length))
}

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let bytes = input.rest_as_bytes()?;
    let bytes = bytes.as_slice();
    let mut subunit = Subunit::default();
    let (mut rest, mut packets, mut strange) = (bytes, 0u64, 0u64);
    let (mut broken, mut is_behind_packet, mut is_cut) = (0u64, true, false);
    while !rest.is_empty() {
        match packet(rest) {
            Some((packet, length)) => {
                (is_behind_packet, is_cut) = (true, false);
                match packet {
                    Some(packet) => {
                        packets += 1;
                        subunit.packet(packet, sink)?;
                    }
                    None => {
                        broken += 1;
                        strange += length as u64;
                    }
                }
                rest = rest.get(length..).unwrap_or_default();
            }
            None => {
                // Either a test's output between packets, or a truncated or corrupt packet.
                broken += u64::from(is_behind_packet && begins(rest));
                is_cut |= !is_behind_packet && is_cut_off(rest);
                is_behind_packet = false;
                let next = memchr::memchr(SIGNATURE, rest.get(1..).unwrap_or_default());
                let skipped = next.map_or(rest.len(), |at| at + 1);
                strange += skipped as u64;
                rest = rest.get(skipped..).unwrap_or_default();
            }
        }
    }
    if packets == 0 {
        return Err(ReadError::new(None, "no packets found"));
    }
    if strange > 0 {
        let text = format!("ignored {strange} bytes between packets");
        sink.note(Note { line: None, kind: NoteKind::Dropped, text });
    }
    broken += u64::from(is_cut);
    if broken > 0 {
        let text = format!("truncated or corrupt packets: {broken}");
        sink.against(Reason::new(Cause::Cut, None, text));
    }
    subunit.end(sink)
}

#[derive(Default)]
struct Subunit {
    running: BTreeMap<String, Running>,
    listed: u64,
    /// Output that belongs to no test.
    own: String,
}

#[derive(Default)]
struct Running {
    began: Option<Timestamp>,
    tags: Vec<String>,
    /// Attachments: name, whether it is text, and contents.
    files: Vec<(String, bool, Vec<u8>)>,
    bytes: usize,
}

/// A test's name consists of module, class and method, optionally followed by its scenario in
/// brackets.
fn named(test: &str) -> (Option<String>, String) {
    let end = test.find(['(', ' ', '[']).unwrap_or(test.len());
    let dot = test.get(..end).and_then(|path| path.rfind('.'));
    match dot.and_then(|at| Some((test.get(..at)?, test.get(at + 1..)?))) {
        Some((class, name)) => (Some(class.to_owned()), name.to_owned()),
        None => (None, test.to_owned()),
    }
}

impl Subunit {
    fn packet(&mut self, packet: Packet<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let Some(test) = packet.test.map(String::from_utf8_lossy) else {
            if let Some((_, bytes)) = packet.file
                && self.own.len() + bytes.len() < MAX_TEXT
            {
                self.own += &String::from_utf8_lossy(bytes);
            }
            return Ok(());
        };
        // 1 only means that the test exists.
        if packet.status == 1 {
            self.listed += 1;
            return Ok(());
        }
        sink.room(self.running.len())?;
        let running = self.running.entry(test.to_string()).or_default();
        if packet.status == 2 {
            running.began = running.began.or(packet.at);
        }
        running
            .tags
            .extend(packet.tags.into_iter().map(|tag| String::from_utf8_lossy(tag).into_owned()));
        if let Some((name, bytes)) = packet.file {
            let is_text = packet.mime.is_none_or(|mime| mime.starts_with(b"text/"));
            let name = String::from_utf8_lossy(name);
            running.bytes += bytes.len();
            if running.bytes <= MAX_TEXT {
                match running.files.iter_mut().find(|(known, ..)| *known == name) {
                    Some((.., file)) => file.extend_from_slice(bytes),
                    None => running.files.push((name.into_owned(), is_text, bytes.to_vec())),
                }
            }
        }
        let status = match packet.status {
            3 => Status::Passed,
            // An unexpected success.
            4 => Status::Failed,
            5 | 7 => Status::Skipped,
            6 => Status::Failed,
            _ => return Ok(()),
        };
        let Some(running) = self.running.remove(test.as_ref()) else { return Ok(()) };
        let why = match packet.status {
            4 => Some("expected to fail, but passed"),
            7 => Some("failed as expected"),
            _ => None,
        };
        self.emit(&test, running, status, why, packet.at, sink)
    }

    fn emit(
        &mut self,
        test: &str,
        running: Running,
        status: Status,
        why: Option<&str>,
        ended: Option<Timestamp>,
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let (class, name) = named(test);
        let took = running.began.zip(ended).map(|(from, to)| to.micros() - from.micros());
        let mut case = Case {
            class,
            name,
            status: Some(status),
            micros: took.and_then(|took| took.try_into().ok()),
            started: running.began,
            failure: why.map(because),
            ..Case::default()
        };
        case.properties = running.tags.into_iter().map(|tag| ("tag".to_owned(), tag)).collect();
        if running.bytes > MAX_TEXT {
            let text = format!("the attachments of '{}' exceed {MAX_TEXT} bytes", case.name);
            sink.note(Note { line: None, kind: NoteKind::Cut, text });
        }
        for (name, is_text, bytes) in running.files {
            if !is_text {
                let text = format!("attachment '{name}' of '{}' skipped: not text", case.name);
                sink.note(Note { line: None, kind: NoteKind::Dropped, text });
                continue;
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            match name.as_str() {
                "reason" => case.failure.get_or_insert_default().message = Some(text),
                name if name.starts_with("traceback") => {
                    let last = text.lines().rev().find(|line| !line.trim().is_empty());
                    let (kind, message) = last
                        .and_then(|last| last.split_once(": "))
                        .map_or((None, last), |(kind, message)| (Some(kind), Some(message)));
                    case.failure = Some(Failure {
                        kind: kind.map(str::to_owned),
                        message: why.or(message).map(str::to_owned),
                        text: Some(text),
                    });
                }
                "stderr" => case.stderr.push_str(&text),
                _ => case.stdout.push_str(&text),
            }
        }
        sink.case(case)
    }

    fn end(mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        for (test, running) in std::mem::take(&mut self.running) {
            self.emit(&test, running, Status::Error, Some("did not finish"), None, sink)?;
        }
        if self.listed > 0 {
            let text = format!("{} tests are listed but have no result", self.listed);
            sink.note(Note { line: None, kind: NoteKind::Odd, text });
        }
        sink.suite(Suite { stdout: self.own, ..Suite::default() })
    }
}
