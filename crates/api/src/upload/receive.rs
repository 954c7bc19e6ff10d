//! Receiving an upload, and reading a stored one again.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use actix_web::http::header;
use actix_web::web;
use devmason_domain::{Step, TestResult, Timestamp, full_test_name, limits};
use devmason_reports::files::{Unpack, gather};
use devmason_reports::{Format, NoteKind, Read, Seen};
use devmason_repository::KeptUpload;

use super::file::File;
use super::parse::{Bounds, file, form};
use super::recognize::{is_build, is_report_in_json, unknown_format};
use super::report::Upload;
use crate::body::Inflated;
use crate::budget::{Hold, SMALL};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;

/// Media types of report files. The format is detected from the bytes.
const MEDIA_TYPES: [&str; 15] = [
    "application/xml",
    "text/xml",
    "text/plain",
    "text/x-tap",
    "text/tap",
    "application/x-tap",
    "application/jsonl",
    "application/x-ndjson",
    "application/x-jsonlines",
    "application/octet-stream",
    "application/vnd.ctrf+json",
    "application/vnd.subunit",
    "application/zip",
    "application/x-zip-compressed",
    "application/gzip",
];

/// A body and how to parse it.
struct Source {
    asked: Option<Format>,
    content_type: String,
    body: web::Bytes,
    received: Timestamp,
    /// Maximum number of test cases.
    cases: usize,
    /// Maximum unpacked size, in bytes.
    limit: usize,
    hold: Hold,
}

/// The report files in the body; `None` if the body is an API document. Parsing runs off the
/// workers that serve connections; a long body waits for a turn.
///
/// # Errors
/// A media type that is neither, a body without any report, a report that is broken or exceeds a
/// limit.
pub(crate) async fn read(call: &Call<'_>) -> Result<Option<Upload>, ApiError> {
    let body = call.body().await?.clone();
    let content_type = call.header(header::CONTENT_TYPE).unwrap_or_default();
    read_from(call, call.params, content_type, body, Timestamp::now()).await
}

async fn read_from(
    call: &Call<'_>,
    params: &Params,
    content_type: &str,
    body: web::Bytes,
    received: Timestamp,
) -> Result<Option<Upload>, ApiError> {
    let asked = match params.first("report") {
        Some(word) => Some(Format::from_word(word).ok_or_else(|| unknown_format(word))?),
        None => None,
    };
    if asked.is_none() && is_small_document(content_type, &body) {
        return Ok(None);
    }
    let turn = call.body.turn(call.app, body.len()).await?;
    let (content_type, cases) = (content_type.to_owned(), call.app.settings.max_cases);
    let hold = call.body.hold.clone();
    let limit = call.app.settings.max_body_bytes;
    let source = Source { asked, content_type, body, received, cases, limit, hold };
    let (read, turn) = call.off_the_workers(move || Ok((source.read(), turn))).await?;
    if matches!(read, Ok(None)) {
        // The turn is kept for parsing the document.
        call.body.keep_turn(turn);
    }
    read
}

fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a short body is an API document, as most are; this is a fast check.
fn is_small_document(content_type: &str, body: &[u8]) -> bool {
    body.is_empty()
        || (body.len() <= SMALL
            && media_type(content_type) == "application/json"
            && !is_report_in_json(body)
            && (is_build(body) || !matches!(Seen::of(body), Seen::Foreign(_))))
}

impl Source {
    fn read(self) -> Result<Option<Upload>, ApiError> {
        let media_type = media_type(&self.content_type);
        let is_json = media_type == "application/json";
        if self.asked.is_none() && is_json && !is_report_in_json(&self.body) {
            return match Seen::of(&self.body) {
                // JSON of another tool, without any member of a build, doesn't become a build.
                seen @ Seen::Foreign(_) if !is_build(&self.body) => {
                    Err(ApiError::NotAReport { problem: seen.refusal() })
                }
                _ => Ok(None),
            };
        }
        let bounds = Inflated { hold: &self.hold, limit: self.limit };
        let unpack = Unpack::new(self.limit, &bounds);
        let files = match media_type.as_str() {
            "multipart/form-data" => {
                let files = form(&self.content_type, self.body.clone());
                unpack.each(tokio::runtime::Handle::current().block_on(files)?)?
            }
            "application/x-tar" => unpack.tar(self.body.clone())?,
            known if is_json || MEDIA_TYPES.contains(&known) => {
                unpack.each(vec![(None, self.body.clone())])?
            }
            _ => return Err(ApiError::UnsupportedType),
        };
        let files = gather(files, &bounds)?;
        let is_alone = files.iter().all(|gathered| gathered.name.is_none());
        let mut bounds = Bounds {
            cases: self.cases,
            names: limits::NAMES,
            notes: Read::NOTES,
            hold: &self.hold,
        };
        let files = files
            .into_iter()
            .map(|gathered| file(gathered, (self.asked, is_alone), &mut bounds))
            .collect::<Result<Vec<_>, _>>()?;
        let files = told_apart(files)?;
        if files.iter().all(|file| file.read.is_none() && file.broken.is_none()) {
            let seen = files.first().map_or(Seen::Nothing, |file| file.seen.clone());
            return Err(if is_alone {
                ApiError::NotAReport { problem: seen.refusal() }
            } else {
                ApiError::NoReport
            });
        }
        Ok(Some(Upload { files, received: self.received }))
    }
}

/// Cases that were folded here and cannot be unfolded.
fn unreadable(error: impl std::fmt::Display) -> ApiError {
    ApiError::Unwritable(error.to_string())
}

/// Notes in a file's receipt if one of its tests has the same name as a test in an earlier file.
fn told_apart(mut files: Vec<File>) -> Result<Vec<File>, ApiError> {
    if files.len() < 2 {
        return Ok(files);
    }
    // Hashes, as the names of a million tests take too much memory.
    let (key, mut before) = (RandomState::new(), HashSet::new());
    for file in &mut files {
        let (mut doubled, mut own) = (None, HashSet::new());
        for piece in file.results.pieces() {
            for result in piece.map_err(unreadable)?.iter() {
                let hash = key.hash_one((&*result.suite, &result.name));
                if doubled.is_none() && before.contains(&hash) {
                    doubled = Some(full_test_name(&result.suite, &result.name));
                }
                own.insert(hash);
            }
        }
        if let Some(name) = doubled {
            let text =
                format!("'{name}', and possibly other tests, also appear in an earlier file");
            file.receipt.note(NoteKind::Doubled.as_str(), text);
        }
        before.extend(own);
    }
    Ok(files)
}

/// The result of reparsing a kept upload.
pub(crate) struct Again {
    pub(crate) steps: Vec<Step>,
    pub(crate) tests: Vec<TestResult>,
    pub(crate) receipts: Vec<String>,
}

/// Reparses a kept upload.
///
/// # Errors
/// As [`read`].
pub(crate) async fn read_again(
    call: &Call<'_>,
    kept: &KeptUpload,
    body: Vec<u8>,
) -> Result<Again, ApiError> {
    let params = Params::read(&kept.said)?;
    let body = web::Bytes::from(body);
    let read = read_from(call, &params, &kept.content_type, body, kept.received);
    let mut upload = match read.await {
        Ok(Some(upload)) => upload,
        // It was a report when it was uploaded, so this request's media type isn't to blame.
        Ok(None) | Err(ApiError::UnsupportedType | ApiError::NotAReport { .. }) => {
            return Err(ApiError::NoReport);
        }
        Err(error) => return Err(error),
    };
    let steps = if kept.one_step { vec![upload.step(&params)?] } else { upload.steps(&params)? };
    let mut tests = Vec::new();
    for piece in upload.take_tests().pieces() {
        tests.extend(piece.map_err(unreadable)?.into_owned());
    }
    Ok(Again { steps, tests, receipts: upload.receipts() })
}
