//! The files that paths and patterns name.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use devmason_reports::Format;

use super::archive::tar;
use super::file::{File, Kind};
use crate::{Problem, say};

/// The files that match a path or a pattern, and the errors of others. An existing file is used
/// literally, whatever its name.
pub(super) fn found(pattern: &str) -> Vec<Result<PathBuf, Problem>> {
    if pattern == "-" || Path::new(pattern).exists() {
        return vec![Ok(PathBuf::from(pattern))];
    }
    let bad = |error: String| Err(Problem::usage(format!("{pattern}: {error}")));
    let paths = match glob::glob(pattern) {
        Ok(paths) => paths,
        Err(error) => return vec![bad(error.to_string())],
    };
    let files: Vec<_> = paths
        .map(|path| path.or_else(|error| bad(error.to_string())))
        .filter(|path| path.as_ref().map_or(true, |path| path.is_file()))
        .collect();
    if files.is_empty() { vec![bad("no such file".to_owned())] } else { files }
}

/// The selected files of several patterns, and whether all are included; errors are printed.
pub(super) fn load(patterns: &[String], is_wanted: impl Fn(&Path) -> bool) -> (Vec<File>, bool) {
    let mut files = Vec::new();
    let mut is_all = true;
    for path in patterns.iter().flat_map(|pattern| found(pattern)) {
        let loaded = match path {
            Ok(path) if path.is_dir() => File::load_folder(&path, &is_wanted),
            Ok(path) if !is_wanted(&path) => {
                let name = path.display();
                say(&format!("{name}: skipped, not written by this command"));
                continue;
            }
            Ok(path) => File::load(&path),
            Err(problem) => Err(problem),
        };
        match loaded {
            Ok(file) => files.push(file),
            Err(problem) => {
                say(&problem.text);
                is_all = false;
            }
        }
    }
    let files = one_for_each_folder(files).unwrap_or_else(|problem| {
        say(&problem.text);
        is_all = false;
        Vec::new()
    });
    (files, is_all)
}

/// Groups Allure results that were named one by one as their folder would be: each file contains
/// one test, or the fixtures of some.
fn one_for_each_folder(files: Vec<File>) -> Result<Vec<File>, Problem> {
    let folder = |file: &File| Path::new(&file.name).parent().map(Path::to_owned);
    let is_allures = |file: &File| Format::recognize(&file.body) == Some(Format::Allure);
    let folders: HashSet<_> = files.iter().filter(|file| is_allures(file)).map(folder).collect();
    let mut all: Vec<File> = Vec::new();
    let mut reports: Vec<(Option<PathBuf>, Vec<File>)> = Vec::new();
    for file in files {
        let of = folder(&file);
        // Other files beside them accompany the results.
        if !folders.contains(&of) || !(is_allures(&file) || file.kind == Kind::None) {
            all.push(file);
        } else if let Some((_, known)) = reports.iter_mut().find(|(folder, _)| *folder == of) {
            known.push(file);
        } else {
            reports.push((of, vec![file]));
        }
    }
    for (folder, mut files) in reports {
        if files.len() == 1 {
            all.append(&mut files);
            continue;
        }
        let folder = folder.unwrap_or_default().to_string_lossy().into_owned();
        let name = if folder.is_empty() { "allure-results".to_owned() } else { folder };
        let named = files.iter().map(|file| {
            let name = Path::new(&file.name).file_name().unwrap_or_default();
            (name.to_string_lossy(), file.body.as_slice())
        });
        all.push(File::of(name, tar(named)?));
    }
    Ok(all)
}
