//! Report files as steps of a build in progress.

use std::path::Path;
use std::time::{Duration, SystemTime};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::archive::tar;
use super::file::{File, Kind};
use super::found::{found, load};
use crate::say;

/// How far a file system may round a modification time down.
const ROUNDED: Duration = Duration::from_secs(2);

/// The query for a file that becomes a step.
fn query(name: &str) -> String {
    format!("?name={}", utf8_percent_encode(name, NON_ALPHANUMERIC))
}

/// The report files written by a command since then, each with the query of its step; files of
/// earlier runs are excluded. Also whether each pattern brought whole reports. Errors are printed.
pub(crate) fn written(patterns: &[String], since: SystemTime) -> (Vec<(String, Vec<u8>)>, bool) {
    // File systems round modification times.
    let since = since.checked_sub(ROUNDED).unwrap_or(since);
    let is_new = |path: &Path| {
        let modified = std::fs::metadata(path).and_then(|file| file.modified());
        modified.is_ok_and(|at| at >= since)
    };
    let (files, is_all) = load(patterns, is_new);
    let has_new = |pattern: &String| {
        let mut paths = found(pattern).into_iter();
        paths.any(|path| path.is_ok_and(|path| path.is_dir() || is_new(&path)))
    };
    let is_whole = is_all
        && patterns.iter().all(has_new)
        && files.iter().all(|file| file.kind != Kind::Broken)
        && (patterns.is_empty() || files.iter().any(|file| file.kind == Kind::Report));
    (steps(files), is_whole)
}

/// Converts files to requests for a build in progress, each with the query of its step. A malformed
/// file is sent as an archive of one, so that its partial contents fail the build. Files that are
/// not reports go with the first report, so that the receipt lists them.
pub(super) fn steps(files: Vec<File>) -> Vec<(String, Vec<u8>)> {
    let (others, reports): (Vec<File>, Vec<File>) =
        files.into_iter().partition(|file| file.kind == Kind::None);
    if reports.is_empty() {
        others.iter().flat_map(|file| &file.receipts).for_each(|receipt| {
            let note = receipt.notes.first().map(|note| note.text.as_str()).unwrap_or_default();
            let name = receipt.file.as_deref().unwrap_or_default();
            say(&format!("{name}: skipped: {note}"));
        });
    }
    let mut others = others.into_iter();
    let mut steps = Vec::new();
    for file in reports {
        let query = query(file.step());
        let with: Vec<File> = others.by_ref().collect();
        if with.is_empty() && file.kind == Kind::Report {
            steps.push((query, file.body));
            continue;
        }
        let all = std::iter::once(&file).chain(&with);
        let named = all.map(|file| (file.step().into(), file.body.as_slice()));
        match tar(named) {
            Ok(body) => steps.push((query, body)),
            Err(problem) => say(&problem.text),
        }
    }
    steps
}
