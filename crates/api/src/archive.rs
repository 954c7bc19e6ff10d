//! The files in a body: those of a form, of an archive, or the one that it is; unpacked, where they are compressed.

use std::io::{Cursor, Read as _};

use actix_web::web::Bytes;
use devmason_domain::limits;
use zip::ZipArchive;

use crate::body::{Coding, inflate, inflate_by};
use crate::budget::Hold;
use crate::error::ApiError;

/// A file: what it is called, where it came with others, and what is in it.
pub(crate) type Named = (Option<String>, Bytes);

/// How deep archives may lie in each other: those further in are left as they are. A client puts several files into one.
const MAX_DEPTH: u32 = 1;

/// Unpacks files, which are bounded together as one body is.
pub(crate) struct Unpack<'a> {
    /// How many bytes may still come of them.
    left: usize,
    hold: &'a Hold,
    files: Vec<Named>,
}

impl<'a> Unpack<'a> {
    pub(crate) fn new(limit: usize, hold: &'a Hold) -> Self {
        Self { left: limit, hold, files: Vec::new() }
    }

    /// What is in files: an archive is what is in it.
    ///
    /// # Errors
    /// One is broken, or they have too much in them.
    pub(crate) fn each(mut self, files: Vec<Named>) -> Result<Vec<Named>, ApiError> {
        files.into_iter().try_for_each(|(name, body)| self.file(name, body, 0))?;
        Ok(self.files)
    }

    /// The files of an archive that must be one, by their paths in it.
    ///
    /// # Errors
    /// As [`Self::each`].
    pub(crate) fn tar(mut self, body: Bytes) -> Result<Vec<Named>, ApiError> {
        let body = self.unpacked(body)?;
        self.members_of_tar(None, &body, 0)?;
        Ok(self.files)
    }

    /// A file that lies in so many archives.
    fn file(&mut self, name: Option<String>, body: Bytes, depth: u32) -> Result<(), ApiError> {
        let body = self.unpacked(body)?;
        if depth > MAX_DEPTH {
            self.push(name, body)
        } else if is_zip(&body) {
            self.members_of_zip(name.as_deref(), &body, depth)
        } else if is_tar(&body) {
            self.members_of_tar(name.as_deref(), &body, depth)
        } else {
            self.push(name, body)
        }
    }

    fn push(&mut self, name: Option<String>, body: Bytes) -> Result<(), ApiError> {
        if self.files.len() >= limits::FILES {
            return Err(too_many());
        }
        self.files.push((name, body));
        Ok(())
    }

    /// A file that is kept compressed, as `junit.xml.gz`, is what is in it.
    fn unpacked(&mut self, body: Bytes) -> Result<Bytes, ApiError> {
        if !body.starts_with(&[0x1f, 0x8b]) {
            return Ok(body);
        }
        let body = inflate(Coding::Gzip, &body, self.left, self.hold)?;
        self.left -= body.len();
        Ok(body)
    }

    fn member(
        &mut self,
        archive: Option<&str>,
        name: &str,
        body: Bytes,
        depth: u32,
    ) -> Result<(), ApiError> {
        let name = archive.map_or_else(|| name.to_owned(), |archive| format!("{archive}/{name}"));
        self.file(Some(name), body, depth + 1)
    }

    /// The files lie in the body: of them, nothing is unpacked.
    fn members_of_tar(
        &mut self,
        archive: Option<&str>,
        body: &Bytes,
        depth: u32,
    ) -> Result<(), ApiError> {
        let no_tar = |error: std::io::Error| bad(format!("it is no tar archive: {error}"));
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
                return Err(bad(format!("'{name}' is cut off")));
            }
            self.member(archive, &name, body.slice(start..end), depth)?;
        }
        Ok(())
    }

    fn members_of_zip(
        &mut self,
        archive: Option<&str>,
        body: &Bytes,
        depth: u32,
    ) -> Result<(), ApiError> {
        let no_zip = |error: zip::result::ZipError| bad(format!("it is no ZIP archive: {error}"));
        // The list of files is held as a whole: it is counted before.
        if members_said(body).is_some_and(|members| members > limits::FILES as u64) {
            return Err(too_many());
        }
        let mut zip = ZipArchive::new(Cursor::new(body.as_ref())).map_err(no_zip)?;
        for nth in 0..zip.len() {
            let mut member = zip.by_index(nth).map_err(no_zip)?;
            if !member.is_file() {
                continue;
            }
            let name = member.name().map_err(no_zip)?.into_owned();
            let limit = self.left;
            let body = inflate_by(member.by_ref(), "ZIP", limit, self.hold)?;
            self.left -= body.len();
            self.member(archive, &name, body, depth)?;
        }
        Ok(())
    }
}

/// The files of a form.
///
/// # Errors
/// It is no form, has something else in it, or too many files.
pub(crate) async fn form(content_type: &str, body: Bytes) -> Result<Vec<Named>, ApiError> {
    let no_form = |error: multer::Error| bad(format!("it is no multipart/form-data: {error}"));
    let boundary = multer::parse_boundary(content_type).map_err(no_form)?;
    let stream = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    let mut form = multer::Multipart::new(stream, boundary);
    let mut files = Vec::new();
    while let Some(field) = form.next_field().await.map_err(no_form)? {
        let Some(name) = field.file_name().map(str::to_owned) else {
            let field = field.name().unwrap_or_default();
            return Err(bad(format!(
                "'{field}' is no file; what is said of files goes into the query"
            )));
        };
        if files.len() >= limits::FILES {
            return Err(too_many());
        }
        files.push((Some(name), field.bytes().await.map_err(no_form)?));
    }
    Ok(files)
}

fn too_many() -> ApiError {
    bad(format!("more than {} files", limits::FILES))
}

fn bad(problem: String) -> ApiError {
    ApiError::BadValue { name: "body", problem }
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

/// How many files a ZIP archive says it has, the most where it says so twice (APPNOTE.TXT, 4.3.14 and 4.3.16).
fn members_said(body: &[u8]) -> Option<u64> {
    let tail = body.get(body.len().saturating_sub(ZIP_END)..)?;
    let end = memchr::memmem::rfind(tail, b"PK\x05\x06")?;
    let short = tail.get(end + 10..end + 12)?.try_into().ok().map(u16::from_le_bytes)?;
    let long = || {
        let locator = tail.get(end.checked_sub(20)?..end)?.strip_prefix(b"PK\x06\x07")?;
        let at = u64::from_le_bytes(locator.get(4..12)?.try_into().ok()?);
        let at = usize::try_from(at).ok()?;
        let count = body.get(at.checked_add(32)?..at.checked_add(40)?)?;
        Some(u64::from_le_bytes(count.try_into().ok()?))
    };
    Some(u64::from(short).max(long().unwrap_or(0)))
}
