//! Extracts the files of an upload: unpacks archives, decompresses files, and joins several files
//! that form one report.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use bytes::Bytes;
use devmason_domain::limits;
use zip::ZipArchive;

use crate::{Format, Note, NoteKind, Seen};

/// The maximum nesting depth of archives; deeper ones are left packed. The command packs several
/// files into one archive, and each folder into its own.
const MAX_DEPTH: u32 = 3;

/// The initial allocation when the size is unknown, in bytes.
const FIRST_ROOM: usize = 32 << 10;

/// A file: its name, unless it was sent alone, and its contents.
pub type Named = (Option<String>, Bytes);

/// An unpacked file, or an unmodified one that cannot be unpacked, with the reason.
#[derive(Debug, Clone)]
pub struct Unpacked {
    name: Option<String>,
    body: Bytes,
    broken: Option<String>,
}

/// Why something is not unpacked.
pub enum Trouble<E> {
    /// It is malformed.
    Broken(String),
    /// It is too long, or there is no room.
    Bound(E),
}

impl<E> Trouble<E> {
    /// Merges both into one error, for a file that was sent alone.
    pub fn of<B: Bounds<Error = E>>(self, bounds: &B) -> E {
        match self {
            Self::Broken(problem) => bounds.bad(problem),
            Self::Bound(error) => error,
        }
    }
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
    mut decoder: impl Read,
    coding: &str,
    (said, limit): (usize, usize),
    bounds: &B,
) -> Result<Bytes, Trouble<B::Error>> {
    let mut inflated = Vec::new();
    let mut next = said.saturating_add(1).min(FIRST_ROOM);
    loop {
        let room = next.min(limit.saturating_add(1) - inflated.len());
        bounds.room(room).map_err(Trouble::Bound)?;
        inflated.try_reserve_exact(room).map_err(|_| Trouble::Bound(bounds.no_room()))?;
        let read = decoder.by_ref().take(room as u64).read_to_end(&mut inflated);
        let read =
            read.map_err(|error| Trouble::Broken(format!("invalid {coding} data: {error}")))?;
        if inflated.len() > limit {
            return Err(Trouble::Bound(bounds.too_long()));
        }
        // While the buffer doubles, the old and the new one exist together.
        next = inflated.len().max(FIRST_ROOM);
        if read < room {
            inflated.shrink_to_fit();
            return Ok(inflated.into());
        }
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

type Done<B> = Result<(), Trouble<<B as Bounds>::Error>>;

impl<'a, B: Bounds> Unpack<'a, B> {
    /// Limits unpacking to this many bytes.
    pub fn new(limit: usize, bounds: &'a B) -> Self {
        Self { left: limit, bounds, files: Vec::new() }
    }

    /// Unpacks files, replacing archives by their contents. A malformed one is left unchanged, unless
    /// it was sent alone.
    ///
    /// # Errors
    /// The only file is malformed, or their contents exceed the limits.
    pub fn each(mut self, files: Vec<Named>) -> Result<Vec<Unpacked>, B::Error> {
        let is_alone = files.len() == 1;
        for (name, body) in files {
            let done = if is_alone { self.file(name, body, 0) } else { self.member(name, body, 0) };
            done.map_err(|trouble| trouble.of(self.bounds))?;
        }
        Ok(self.files)
    }

    /// The files of a tar archive, by their paths in it.
    ///
    /// # Errors
    /// As [`Self::each`].
    pub fn tar(mut self, body: Bytes) -> Result<Vec<Unpacked>, B::Error> {
        let body = self.unpacked(&body).map_err(|trouble| trouble.of(self.bounds))?;
        let done = self.members_of_tar(None, &body, 0);
        done.map_err(|trouble| trouble.of(self.bounds))?;
        Ok(self.files)
    }

    /// Unpacks one of several files: if it is malformed, the others are kept.
    fn member(&mut self, name: Option<String>, body: Bytes, depth: u32) -> Done<B> {
        let before = self.files.len();
        let is_missing = body.is_empty() && name.as_deref().is_some_and(is_of_a_report);
        let empty = || Err(Trouble::Broken("empty file".to_owned()));
        let done = if is_missing { empty() } else { self.file(name.clone(), body.clone(), depth) };
        match done {
            Err(Trouble::Broken(problem)) => {
                self.files.truncate(before);
                self.push(Unpacked { name, body, broken: Some(problem) })
            }
            done => done,
        }
    }

    /// Unpacks a file nested in `depth` archives.
    fn file(&mut self, name: Option<String>, body: Bytes, depth: u32) -> Done<B> {
        let body = self.unpacked(&body)?;
        if depth > MAX_DEPTH {
            self.push(Unpacked { name, body, broken: None })
        } else if is_zip(&body) {
            self.members_of_zip(name.as_deref(), &body, depth)
        } else if is_tar(&body) {
            self.members_of_tar(name.as_deref(), &body, depth)
        } else {
            self.push(Unpacked { name, body, broken: None })
        }
    }

    fn push(&mut self, file: Unpacked) -> Done<B> {
        if self.files.len() >= limits::FILES {
            return Err(Trouble::Bound(self.too_many()));
        }
        self.files.push(file);
        Ok(())
    }

    fn too_many(&self) -> B::Error {
        self.bounds.bad(format!("more than {} files", limits::FILES))
    }

    /// Decompresses a file such as `junit.xml.gz`.
    fn unpacked(&mut self, body: &Bytes) -> Result<Bytes, Trouble<B::Error>> {
        if !body.starts_with(&[0x1f, 0x8b]) {
            return Ok(body.clone());
        }
        let decoder = flate2::read::MultiGzDecoder::new(body.as_ref());
        let body = inflate(decoder, "gzip", (FIRST_ROOM, self.left), self.bounds)?;
        self.left -= body.len();
        Ok(body)
    }

    /// The files are slices of the body: nothing is unpacked.
    fn members_of_tar(&mut self, archive: Option<&str>, body: &Bytes, depth: u32) -> Done<B> {
        let no_tar =
            |error: std::io::Error| Trouble::Broken(format!("invalid tar archive: {error}"));
        let mut tar = tar::Archive::new(Cursor::new(body));
        let mut behind = 0;
        for entry in tar.entries().map_err(no_tar)? {
            let entry = entry.map_err(no_tar)?;
            let bytes = usize::try_from(entry.raw_file_position().saturating_add(entry.size()));
            behind = bytes.unwrap_or(usize::MAX);
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let start = usize::try_from(entry.raw_file_position()).unwrap_or(usize::MAX);
            let end = start.saturating_add(usize::try_from(entry.size()).unwrap_or(usize::MAX));
            if end > body.len() {
                return Err(Trouble::Broken(format!("'{name}' is truncated")));
            }
            self.member(Some(of(archive, name)), body.slice(start..end), depth + 1)?;
        }
        // Blocks of zeros end an archive (POSIX.1-2017, pax): without one, members may be missing.
        let next = behind.checked_next_multiple_of(TAR_BLOCK).unwrap_or(usize::MAX);
        let block = body.get(next..next.saturating_add(TAR_BLOCK));
        if block.is_none_or(|block| block.iter().any(|byte| *byte != 0)) {
            let name = Some(archive.unwrap_or("the archive").to_owned());
            let broken = Some("truncated: the end of the tar archive is missing".to_owned());
            return self.push(Unpacked { name, body: Bytes::new(), broken });
        }
        Ok(())
    }

    fn members_of_zip(&mut self, archive: Option<&str>, body: &Bytes, depth: u32) -> Done<B> {
        let no_zip =
            |error: zip::result::ZipError| Trouble::Broken(format!("invalid ZIP archive: {error}"));
        // The file list is loaded as a whole, so its length is checked first.
        if members_said(body).is_some_and(|members| members > limits::FILES as u64) {
            return Err(Trouble::Bound(self.too_many()));
        }
        let mut zip = ZipArchive::new(Cursor::new(body.as_ref())).map_err(no_zip)?;
        for nth in 0..zip.len() {
            let mut member = zip.by_index(nth).map_err(no_zip)?;
            if !member.is_file() {
                continue;
            }
            let name = member.name().map_err(no_zip)?.into_owned();
            let said = usize::try_from(member.size()).unwrap_or(usize::MAX);
            let body = inflate(member.by_ref(), "ZIP", (said, self.left), self.bounds)?;
            self.left -= body.len();
            self.member(Some(of(archive, name)), body, depth + 1)?;
        }
        Ok(())
    }
}

/// Whether a file has the name of a report. A tool that was killed may leave an empty report.
pub fn is_of_a_report(name: &str) -> bool {
    let known =
        ["xml", "json", "jsonl", "ndjson", "trx", "tap", "subunit", "zip", "gz", "tgz", "tar"];
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| known.contains(&ending.as_str()))
}

/// The name of a file in an archive.
fn of(archive: Option<&str>, name: String) -> String {
    archive.map_or_else(|| name.clone(), |archive| format!("{archive}/{name}"))
}

fn is_zip(body: &[u8]) -> bool {
    body.starts_with(b"PK\x03\x04") || body.starts_with(b"PK\x05\x06")
}

/// Whether it is a tar archive, by the magic in its first header (POSIX.1-1988).
fn is_tar(body: &[u8]) -> bool {
    body.get(257..262) == Some(b"ustar")
}

/// The maximum distance of a ZIP archive's end record from the end of the file, in bytes: a comment
/// may follow it.
const ZIP_END: usize = 22 + 0xffff;

/// The number of files a ZIP archive claims to have (APPNOTE.TXT, 4.3.14 and 4.3.16): the maximum
/// over everything that looks like an end record.
fn members_said(body: &[u8]) -> Option<u64> {
    let tail = body.get(body.len().saturating_sub(ZIP_END)..)?;
    let said = memchr::memmem::find_iter(tail, b"PK\x05\x06").filter_map(|end| {
        let short = tail.get(end + 10..end + 12)?.try_into().ok().map(u16::from_le_bytes)?;
        let long = || {
            let locator = tail.get(end.checked_sub(20)?..end)?.strip_prefix(b"PK\x06\x07")?;
            let at = u64::from_le_bytes(locator.get(4..12)?.try_into().ok()?);
            let at = usize::try_from(at).ok()?;
            let count = body.get(at.checked_add(32)?..at.checked_add(40)?)?;
            Some(u64::from_le_bytes(count.try_into().ok()?))
        };
        Some(u64::from(short).max(long().unwrap_or(0)))
    });
    said.max()
}

/// A file, or several that form one report.
#[derive(Debug, Clone)]
pub struct Gathered {
    /// The name, unless it was sent alone.
    pub name: Option<String>,
    /// The contents; several files are concatenated.
    pub body: Bytes,
    /// The number of files it consists of.
    pub files: usize,
    /// The number of files beside them that only accompany the report.
    pub beside: usize,
    /// Why it cannot be unpacked, if it cannot.
    pub broken: Option<String>,
}

impl Gathered {
    /// The note about the accompanying files, if any.
    pub fn note(&self) -> Option<Note> {
        let beside = self.beside;
        let text = format!("{beside} other files, such as attachments, were skipped");
        (beside > 0).then_some(Note { line: None, kind: NoteKind::Dropped, text })
    }
}

/// Joins files that form one report: each file of Allure's is a test or its fixtures, and those of
/// a folder belong together.
///
/// # Errors
/// There is no room for them.
pub fn gather<B: Bounds>(files: Vec<Unpacked>, bounds: &B) -> Result<Vec<Gathered>, B::Error> {
    let folder = |name: &Option<String>| {
        let name = name.as_deref().unwrap_or_default();
        name.rsplit_once(['/', '\\']).map_or("", |(folder, _)| folder).to_owned()
    };
    let is_recognized = |file: &Unpacked| {
        file.broken.is_none()
            && file.name.is_some()
            && Format::recognize(&file.body) == Some(Format::Allure)
    };
    // A truncated file is recognized by its name alone.
    let is_called = |file: &Unpacked| {
        let name = file.name.as_deref().unwrap_or_default();
        file.broken.is_none()
            && (name.ends_with("-result.json") || name.ends_with("-container.json"))
    };
    // The folders, each with the files of its report and the number of other files.
    let mut reports: HashMap<String, (Vec<Bytes>, usize)> = HashMap::new();
    let mut folders: Vec<String> = Vec::new();
    let mut others: Vec<Unpacked> = Vec::new();
    for file in files {
        if !is_recognized(&file) {
            others.push(file);
            continue;
        }
        let folder = folder(&file.name);
        let (bodies, _) = reports.entry(folder.clone()).or_insert_with(|| {
            folders.push(folder);
            (Vec::new(), 0)
        });
        bodies.push(file.body);
    }
    let mut all = Vec::new();
    for file in others {
        let is_one = file.name.is_some() && file.broken.is_none();
        match reports.get_mut(&folder(&file.name)).filter(|_| is_one) {
            // Append it at the end: everything after a truncated document is ignored.
            Some((bodies, _)) if is_called(&file) => bodies.push(file.body),
            // Attachments keep their own format.
            Some((_, beside)) if !matches!(Seen::of(&file.body), Seen::Format(_)) => *beside += 1,
            _ => {
                let Unpacked { name, body, broken } = file;
                all.push(Gathered { name, body, files: 1, beside: 0, broken });
            }
        }
    }
    for folder in folders {
        let Some((bodies, beside)) = reports.remove(&folder) else { continue };
        let length = bodies.iter().map(|body| body.len() + 1).sum();
        bounds.room(length)?;
        let mut whole = Vec::new();
        whole.try_reserve_exact(length).map_err(|_| bounds.no_room())?;
        for body in &bodies {
            whole.extend_from_slice(body);
            whole.push(b'\n');
        }
        let name = if folder.is_empty() { "allure-results".to_owned() } else { folder };
        let (name, body, files) = (Some(name), whole.into(), bodies.len());
        all.push(Gathered { name, body, files, beside, broken: None });
    }
    Ok(all)
}
