//! Extracts the files of an upload: unpacks archives, decompresses files, and joins several files
//! that form one report.

mod gather;
mod zip;

use std::io::{Cursor, Read};

use ::zip::ZipArchive;
use ::zip::result::ZipError;
use bytes::Bytes;
use devmason_domain::limits;

use self::zip::Method;

pub use gather::{Gathered, gather};

/// The maximum nesting depth of archives; deeper ones are left packed. The command packs several
/// files into one archive, and each folder into its own.
const MAX_DEPTH: u32 = 3;

/// The initial allocation when the size is unknown, in bytes.
const FIRST_ROOM: usize = 32 << 10;

/// A file: its name, unless it was sent alone, and its contents.
pub type Named = (Option<String>, Bytes);

/// An unpacked file: of a truncated or corrupt one, what comes before the break.
#[derive(Debug, Clone)]
pub struct Unpacked {
    name: Option<String>,
    body: Bytes,
    /// Why it is incomplete, if it is.
    broken: Option<String>,
}

/// Limits of unpacking, and the errors for exceeding them.
pub trait Bounds {
    /// The error type.
    type Error;
    /// Requests room for this many bytes.
    ///
    /// # Errors
    /// There is not enough room.
    fn room(&self, bytes: usize) -> Result<(), Self::Error>;
    /// The upload is malformed.
    fn bad(&self, problem: String) -> Self::Error;
    /// There is not enough memory.
    fn no_room(&self) -> Self::Error;
    /// The upload is too long when unpacked.
    fn too_long(&self) -> Self::Error;
}

/// Reads a decoder's output up to a limit, since a few kilobytes may expand to gigabytes. The
/// expected size is a hint.
///
/// # Errors
/// The data is malformed, longer than the limit, or there is no room for it.
pub fn inflate<B: Bounds>(
    decoder: impl Read,
    coding: &str,
    size: (usize, usize),
    bounds: &B,
) -> Result<Bytes, B::Error> {
    match inflate_to_break(decoder, coding, size, bounds)? {
        (inflated, None) => Ok(inflated),
        (_, Some(problem)) => Err(bounds.bad(problem)),
    }
}

/// The same, but malformed data is read up to the break, with the reason.
fn inflate_to_break<B: Bounds>(
    mut decoder: impl Read,
    coding: &str,
    (said, limit): (usize, usize),
    bounds: &B,
) -> Result<(Bytes, Option<String>), B::Error> {
    let mut inflated = Vec::new();
    let mut next = said.saturating_add(1).min(FIRST_ROOM);
    loop {
        let room = next.min(limit.saturating_add(1) - inflated.len());
        bounds.room(room)?;
        inflated.try_reserve_exact(room).map_err(|_| bounds.no_room())?;
        let read = decoder.by_ref().take(room as u64).read_to_end(&mut inflated);
        if inflated.len() > limit {
            return Err(bounds.too_long());
        }
        // While the buffer doubles, the old and the new one exist together.
        next = inflated.len().max(FIRST_ROOM);
        let problem = match read {
            Ok(read) if read == room => continue,
            Ok(_) => None,
            Err(error) => Some(format!("invalid {coding} data: {error}")),
        };
        inflated.shrink_to_fit();
        return Ok((inflated.into(), problem));
    }
}

/// Unpacks files, with a common limit.
pub struct Unpack<'a, B> {
    /// The number of bytes that may still be unpacked.
    left: usize,
    bounds: &'a B,
    files: Vec<Unpacked>,
}

/// The size of a block of a tar archive, in bytes.
const TAR_BLOCK: usize = 512;

/// The name of an archive that was sent alone.
const ARCHIVE: &str = "the archive";

impl<'a, B: Bounds> Unpack<'a, B> {
    /// Limits unpacking to this many bytes.
    pub fn new(limit: usize, bounds: &'a B) -> Self {
        Self { left: limit, bounds, files: Vec::new() }
    }

    /// Unpacks files, replacing archives by their contents. Everything before a break is kept.
    ///
    /// # Errors
    /// There are too many files, or their contents exceed the limits.
    pub fn each(mut self, files: Vec<Named>) -> Result<Vec<Unpacked>, B::Error> {
        let is_alone = files.len() == 1;
        for (name, body) in files {
            let missing = if is_alone { None } else { missing(name.as_deref(), &body) };
            self.file(name, body, missing, 0)?;
        }
        Ok(self.files)
    }

    /// The files of a tar archive, by their paths in it.
    ///
    /// # Errors
    /// As [`Self::each`].
    pub fn tar(mut self, body: Bytes) -> Result<Vec<Unpacked>, B::Error> {
        let (body, problem) = self.unpacked(body)?;
        self.members_of_tar(None, &body, problem, 0)?;
        Ok(self.files)
    }

    /// Unpacks a file nested in `depth` archives, which is incomplete if there is a problem.
    fn file(
        &mut self,
        name: Option<String>,
        body: Bytes,
        problem: Option<String>,
        depth: u32,
    ) -> Result<(), B::Error> {
        let (body, broken) = self.unpacked(body)?;
        let problem = problem.or(broken);
        if depth <= MAX_DEPTH && zip::is_zip(&body) {
            self.members_of_zip(name.as_deref(), &body, problem, depth)
        } else if depth <= MAX_DEPTH && is_tar(&body) {
            self.members_of_tar(name.as_deref(), &body, problem, depth)
        } else {
            self.push(Unpacked { name, body, broken: problem })
        }
    }

    fn push(&mut self, file: Unpacked) -> Result<(), B::Error> {
        if self.files.len() >= limits::FILES {
            return Err(self.too_many());
        }
        self.files.push(file);
        Ok(())
    }

    fn too_many(&self) -> B::Error {
        self.bounds.bad(format!("more than {} files", limits::FILES))
    }

    /// Decompresses a file such as `junit.xml.gz`, up to a break.
    fn unpacked(&mut self, body: Bytes) -> Result<(Bytes, Option<String>), B::Error> {
        if !body.starts_with(&[0x1f, 0x8b]) {
            return Ok((body, None));
        }
        let decoder = flate2::read::MultiGzDecoder::new(body.as_ref());
        self.inflated(decoder, "gzip", FIRST_ROOM)
    }

    fn inflated(
        &mut self,
        decoder: impl Read,
        coding: &str,
        said: usize,
    ) -> Result<(Bytes, Option<String>), B::Error> {
        let inflated = inflate_to_break(decoder, coding, (said, self.left), self.bounds)?;
        self.left -= inflated.0.len();
        Ok(inflated)
    }

    /// A member of an archive, which is incomplete if there is a problem.
    fn member(
        &mut self,
        archive: Option<&str>,
        name: String,
        body: Bytes,
        problem: Option<String>,
        depth: u32,
    ) -> Result<(), B::Error> {
        let name = archive.map_or_else(|| name.clone(), |archive| format!("{archive}/{name}"));
        let problem = problem.or_else(|| missing(Some(&name), &body));
        self.file(Some(name), body, problem, depth + 1)
    }

    /// Ends an archive whose members begin at `before`, and which is incomplete if there is a problem.
    fn ended(
        &mut self,
        archive: Option<&str>,
        before: usize,
        problem: Option<String>,
    ) -> Result<(), B::Error> {
        if problem.is_none() {
            return Ok(());
        }
        // Without members it is a file that cannot be read.
        let alone = (self.files.len() > before).then_some(ARCHIVE);
        let name = archive.or(alone).map(str::to_owned);
        self.push(Unpacked { name, body: Bytes::new(), broken: problem })
    }

    /// The files are slices of the body: nothing is unpacked.
    fn members_of_tar(
        &mut self,
        archive: Option<&str>,
        body: &Bytes,
        problem: Option<String>,
        depth: u32,
    ) -> Result<(), B::Error> {
        let before = self.files.len();
        let mut tar = tar::Archive::new(Cursor::new(body));
        let (mut behind, mut broken) = (0, None);
        for entry in tar.entries().into_iter().flatten() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    broken = Some(format!("invalid tar archive: {error}"));
                    break;
                }
            };
            let start = usize::try_from(entry.raw_file_position()).unwrap_or(usize::MAX);
            behind = start.saturating_add(usize::try_from(entry.size()).unwrap_or(usize::MAX));
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if behind > body.len() {
                let part = body.slice(start.min(body.len())..);
                let problem = problem.unwrap_or_else(|| "the tar archive is truncated".to_owned());
                return self.member(archive, name, part, Some(problem), depth);
            }
            self.member(archive, name, body.slice(start..behind), None, depth)?;
        }
        // Blocks of zeros end an archive (POSIX.1-2017, pax): without one, members may be missing.
        let next = behind.checked_next_multiple_of(TAR_BLOCK).unwrap_or(usize::MAX);
        let block = body.get(next..next.saturating_add(TAR_BLOCK));
        let has_end = block.is_some_and(|block| block.iter().all(|byte| *byte == 0));
        let no_end = || "truncated: the end of the tar archive is missing".to_owned();
        let problem = problem.or(broken).or_else(|| (!has_end).then(no_end));
        self.ended(archive, before, problem)
    }

    fn members_of_zip(
        &mut self,
        archive: Option<&str>,
        body: &Bytes,
        problem: Option<String>,
        depth: u32,
    ) -> Result<(), B::Error> {
        let before = self.files.len();
        // The file list is loaded as a whole, so its length is checked first.
        if zip::members_said(body).is_some_and(|members| members > limits::FILES as u64) {
            return Err(self.too_many());
        }
        let no_zip = |error: ZipError| format!("invalid ZIP archive: {error}");
        // With an offset, it is the directory of an archive in this one, which is truncated.
        let zip = ZipArchive::new(Cursor::new(body.as_ref()));
        let Some(mut zip) = zip.ok().filter(|zip| zip.offset() == 0) else {
            return self.members_without_directory(archive, body, problem, depth);
        };
        for nth in 0..zip.len() {
            let name =
                zip.name_for_index(nth).and_then(Result::ok).unwrap_or_default().into_owned();
            let mut member = match zip.by_index(nth) {
                Ok(member) if member.is_file() => member,
                Ok(_) => continue,
                Err(error) => {
                    self.member(archive, name, Bytes::new(), Some(no_zip(error)), depth)?;
                    continue;
                }
            };
            let said = usize::try_from(member.size()).unwrap_or(usize::MAX);
            let (body, broken) = self.inflated(member.by_ref(), "ZIP", said)?;
            self.member(archive, name, body, broken, depth)?;
        }
        self.ended(archive, before, problem)
    }

    /// The members of a truncated ZIP archive, whose directory is missing.
    fn members_without_directory(
        &mut self,
        archive: Option<&str>,
        body: &Bytes,
        problem: Option<String>,
        depth: u32,
    ) -> Result<(), B::Error> {
        let before = self.files.len();
        let no_directory = || "invalid ZIP archive: its directory cannot be read".to_owned();
        let problem = problem.unwrap_or_else(no_directory);
        let mut members = zip::Members::of(body);
        while let Some(member) = members.next() {
            let (body, broken, used) = match member.method {
                Method::Stored => (member.packed.clone(), None, member.packed.len()),
                Method::Deflated => {
                    let mut decoder = flate2::bufread::DeflateDecoder::new(member.packed.as_ref());
                    let (body, broken) = self.inflated(&mut decoder, "ZIP", FIRST_ROOM)?;
                    (body, broken, usize::try_from(decoder.total_in()).unwrap_or(usize::MAX))
                }
                Method::Other => {
                    let problem = "its compression is not supported".to_owned();
                    (Bytes::new(), Some(problem), member.packed.len())
                }
            };
            let is_whole = members.skip(used);
            let broken = broken.or_else(|| (!is_whole).then(|| problem.clone()));
            if !member.name.ends_with('/') {
                self.member(archive, member.name, body, broken, depth)?;
            }
        }
        self.ended(archive, before, Some(problem))
    }
}

/// The problem of a report that is empty: a tool that was killed may leave one.
fn missing(name: Option<&str>, body: &[u8]) -> Option<String> {
    (body.is_empty() && name.is_some_and(is_of_a_report)).then(|| "empty file".to_owned())
}

/// Whether a file has the name of a report.
pub fn is_of_a_report(name: &str) -> bool {
    let known =
        ["xml", "json", "jsonl", "ndjson", "trx", "tap", "subunit", "zip", "gz", "tgz", "tar"];
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| known.contains(&ending.as_str()))
}

/// Whether it is a tar archive, by the magic in its first header (POSIX.1-1988).
fn is_tar(body: &[u8]) -> bool {
    body.get(257..262) == Some(b"ustar")
}
