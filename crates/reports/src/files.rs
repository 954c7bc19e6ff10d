//! The files in what was sent: those of an archive, unpacked where they are compressed, and put together where several
//! are one report.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use bytes::Bytes;
use devmason_domain::limits;
use zip::ZipArchive;

use crate::{Format, Note, NoteKind, Seen};

/// How deep archives may lie in each other: those further in are left as they are. The command puts several files into
/// one, and each folder into one of its own.
const MAX_DEPTH: u32 = 3;

/// How much room is asked for at first where it is not known how much comes, in bytes.
const FIRST_ROOM: usize = 32 << 10;

/// A file: what it is called, where it came with others, and what is in it.
pub type Named = (Option<String>, Bytes);

/// A file that was unpacked, or one that cannot be, as it came, and why.
#[derive(Debug, Clone)]
pub struct Unpacked {
    name: Option<String>,
    body: Bytes,
    broken: Option<String>,
}

/// Why something is not unpacked.
pub enum Trouble<E> {
    /// It is not what it should be.
    Broken(String),
    /// It is too long, or there is no room.
    Bound(E),
}

impl<E> Trouble<E> {
    /// Both as one, for what came alone.
    pub fn of<B: Bounds<Error = E>>(self, bounds: &B) -> E {
        match self {
            Self::Broken(problem) => bounds.bad(problem),
            Self::Bound(error) => error,
        }
    }
}

/// What bounds unpacking, and what is said where that is not possible.
pub trait Bounds {
    /// Why it is not possible.
    type Error;
    /// Asks for room for so many bytes.
    ///
    /// # Errors
    /// There is none.
    fn room(&self, bytes: usize) -> Result<(), Self::Error>;
    /// What was sent is not what it should be.
    fn bad(&self, problem: String) -> Self::Error;
    /// There is no memory.
    fn no_room(&self) -> Self::Error;
    /// What was sent is longer, unpacked, than it may be.
    fn too_long(&self) -> Self::Error;
}

/// Reads what a decoder gives, of which so much is said to come, within a limit: a few kilobytes may hold gigabytes.
///
/// # Errors
/// It is broken, longer than the limit, or there is no room for it.
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
        let read = read.map_err(|error| Trouble::Broken(format!("it is not {coding}: {error}")))?;
        if inflated.len() > limit {
            return Err(Trouble::Bound(bounds.too_long()));
        }
        // The buffer doubles, and while it does both are there.
        next = inflated.len().max(FIRST_ROOM);
        if read < room {
            inflated.shrink_to_fit();
            return Ok(inflated.into());
        }
    }
}

/// Unpacks files, which are bounded together.
pub struct Unpack<'a, B> {
    /// How many bytes may still come of them.
    left: usize,
    bounds: &'a B,
    files: Vec<Unpacked>,
}

type Done<B> = Result<(), Trouble<<B as Bounds>::Error>>;

impl<'a, B: Bounds> Unpack<'a, B> {
    /// Unpacks so many bytes at most.
    pub fn new(limit: usize, bounds: &'a B) -> Self {
        Self { left: limit, bounds, files: Vec::new() }
    }

    /// What is in files: an archive is what is in it. One that is broken stays as it is, unless it came alone.
    ///
    /// # Errors
    /// The only one is broken, or they have too much in them.
    pub fn each(mut self, files: Vec<Named>) -> Result<Vec<Unpacked>, B::Error> {
        let is_alone = files.len() == 1;
        for (name, body) in files {
            let done = if is_alone { self.file(name, body, 0) } else { self.member(name, body, 0) };
            done.map_err(|trouble| trouble.of(self.bounds))?;
        }
        Ok(self.files)
    }

    /// The files of what must be a tar archive, by their paths in it.
    ///
    /// # Errors
    /// As [`Self::each`].
    pub fn tar(mut self, body: Bytes) -> Result<Vec<Unpacked>, B::Error> {
        let body = self.unpacked(&body).map_err(|trouble| trouble.of(self.bounds))?;
        let done = self.members_of_tar(None, &body, 0);
        done.map_err(|trouble| trouble.of(self.bounds))?;
        Ok(self.files)
    }

    /// A file among others: where it is broken, they stay.
    fn member(&mut self, name: Option<String>, body: Bytes, depth: u32) -> Done<B> {
        let before = self.files.len();
        let is_missing = body.is_empty() && name.as_deref().is_some_and(is_of_a_report);
        let empty = || Err(Trouble::Broken("it is empty".to_owned()));
        let done = if is_missing { empty() } else { self.file(name.clone(), body.clone(), depth) };
        match done {
            Err(Trouble::Broken(problem)) => {
                self.files.truncate(before);
                self.push(Unpacked { name, body, broken: Some(problem) })
            }
            done => done,
        }
    }

    /// A file that lies in so many archives.
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

    /// A file that is kept compressed, as `junit.xml.gz`, is what is in it.
    fn unpacked(&mut self, body: &Bytes) -> Result<Bytes, Trouble<B::Error>> {
        if !body.starts_with(&[0x1f, 0x8b]) {
            return Ok(body.clone());
        }
        let decoder = flate2::read::MultiGzDecoder::new(body.as_ref());
        let body = inflate(decoder, "gzip", (FIRST_ROOM, self.left), self.bounds)?;
        self.left -= body.len();
        Ok(body)
    }

    /// The files lie in the body: of them, nothing is unpacked.
    fn members_of_tar(&mut self, archive: Option<&str>, body: &Bytes, depth: u32) -> Done<B> {
        let no_tar =
            |error: std::io::Error| Trouble::Broken(format!("it is no tar archive: {error}"));
        let mut tar = tar::Archive::new(Cursor::new(body));
        for entry in tar.entries().map_err(no_tar)? {
            let entry = entry.map_err(no_tar)?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let start = usize::try_from(entry.raw_file_position()).unwrap_or(usize::MAX);
            let end = start.saturating_add(usize::try_from(entry.size()).unwrap_or(usize::MAX));
            if end > body.len() {
                return Err(Trouble::Broken(format!("'{name}' is cut off")));
            }
            self.member(Some(of(archive, name)), body.slice(start..end), depth + 1)?;
        }
        Ok(())
    }

    fn members_of_zip(&mut self, archive: Option<&str>, body: &Bytes, depth: u32) -> Done<B> {
        let no_zip = |error: zip::result::ZipError| {
            Trouble::Broken(format!("it is no ZIP archive: {error}"))
        };
        // The list of files is held as a whole: it is counted before.
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

/// Whether a file is called as those of reports are. One with nothing in it is what a tool leaves that was killed.
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

/// Whether it is a tar archive, by the mark in its first header (POSIX.1-1988).
fn is_tar(body: &[u8]) -> bool {
    body.get(257..262) == Some(b"ustar")
}

/// How far from its end the last record of a ZIP archive may begin, in bytes: a comment may follow it.
const ZIP_END: usize = 22 + 0xffff;

/// How many files a ZIP archive says it has (APPNOTE.TXT, 4.3.14 and 4.3.16): the most of what looks like its end.
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

/// A file, or several that are one report.
#[derive(Debug, Clone)]
pub struct Gathered {
    /// What it is called, where it came with others.
    pub name: Option<String>,
    /// What is in it: of several files, one behind the other.
    pub body: Bytes,
    /// How many files it is of.
    pub files: usize,
    /// How many lie beside them that only belong to them.
    pub beside: usize,
    /// Why it cannot be unpacked, where it cannot.
    pub broken: Option<String>,
}

impl Gathered {
    /// What is to be said of the files beside it.
    pub fn note(&self) -> Option<Note> {
        let beside = self.beside;
        let text = format!("{beside} files that lie beside them, as attachments, are left out");
        (beside > 0).then_some(Note { line: None, kind: NoteKind::Dropped, text })
    }
}

/// Puts files together that are one report: of Allure's, each is a test or its fixtures, and those of a folder belong
/// together.
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
    // One that is cut off is known by its name alone.
    let is_called = |file: &Unpacked| {
        let name = file.name.as_deref().unwrap_or_default();
        file.broken.is_none()
            && (name.ends_with("-result.json") || name.ends_with("-container.json"))
    };
    // The folders, each with the files of its report and how many lie beside them that are none.
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
            // Behind the others: what stands behind one that is cut off is not read.
            Some((bodies, _)) if is_called(&file) => bodies.push(file.body),
            // Attachments are what they are.
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
