//! Report files as steps of a build in progress.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::archive::tar;
use super::file::{File, Kind, within};
use super::found::{found, load};
use crate::say;

/// How far a file system may round a modification time down.
const ROUNDED: Duration = Duration::from_secs(2);

/// The query for a file that becomes a step.
fn query(name: &str) -> String {
    format!("?name={}", utf8_percent_encode(name, NON_ALPHANUMERIC))
}

/// The report files written by a command since then, each with the query of its step; files of
/// earlier runs are excluded. Errors are printed.
pub(crate) fn written(patterns: &[String], since: SystemTime) -> Vec<(String, Vec<u8>)> {
    // File systems round modification times.
    let since = since.checked_sub(ROUNDED).unwrap_or(since);
    let is_new = |path: &Path| {
        let modified = std::fs::metadata(path).and_then(|file| file.modified());
        modified.is_ok_and(|at| at >= since)
    };
    let (files, _) = load(patterns, is_new);
    steps(files)
}

/// What tells a file from what it was before: its inode, its size and when it was written.
type State = (u64, u64, SystemTime);

fn state(path: &Path) -> Option<State> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.ino(), file.len(), file.modified().ok()?))
}

/// The files that patterns name before a command runs.
pub(crate) struct Before(HashMap<PathBuf, State>);

/// The files that a pattern names, and those in the folders that it names.
fn named(pattern: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in found(pattern).into_iter().flatten() {
        if !path.is_dir() {
            files.push(path);
        } else if within(&path, 0, &mut files).is_err() {
            return Vec::new();
        }
    }
    files
}

impl Before {
    pub(crate) fn of(patterns: &[String]) -> Self {
        let files = patterns.iter().flat_map(|pattern| named(pattern));
        Self(files.filter_map(|path| Some((path.clone(), state(&path)?))).collect())
    }

    /// Whether each pattern has brought a report since then, and every new report is whole.
    pub(crate) fn brought_whole_reports(&self, patterns: &[String]) -> bool {
        let is_new = |path: &PathBuf| state(path).is_some_and(|now| self.0.get(path) != Some(&now));
        patterns.iter().all(|pattern| {
            let new = named(pattern).into_iter().filter(is_new);
            let kinds: Option<Vec<Kind>> =
                new.map(|path| File::load(&path).ok().map(|file| file.kind)).collect();
            kinds.is_some_and(|kinds| {
                kinds.contains(&Kind::Report) && !kinds.contains(&Kind::Broken)
            })
        })
    }
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
