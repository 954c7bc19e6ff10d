//! Files written by the tools of all formats: whether each is a success, and what it is parsed
//! into. `tools/README.md` lists where each comes from and what its tool reported.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tools")
}

fn files() -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| !path.ends_with("README.md")).collect();
    files.sort();
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

#[test]
fn a_report_is_a_success_where_its_tool_meant_one() {
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let mut meant = std::collections::BTreeMap::new();
    for row in readme.lines().filter(|line| line.starts_with("| `")) {
        // A pipe in a command is escaped.
        let cells: Vec<String> =
            row.replace("\\|", "!").split('|').map(|cell| cell.trim().to_owned()).collect();
        let is_success = cells[4] == "yes";
        if cells[3] == "0" && cells[5].is_empty() {
            assert!(is_success, "{row}: nothing says why it is none");
        }
        meant.insert(cells[1].trim_matches('`').to_owned(), is_success);
    }
    for (name, bytes) in files() {
        let read = Read::from_bytes(&bytes, None).unwrap_or_else(|error| panic!("{name}: {error}"));
        let meant = meant.get(&name).unwrap_or_else(|| panic!("{name} is not in the README"));
        assert_eq!(read.tally.verdict.is_success(), *meant, "{name}: {:?}", read.tally);
    }
}

#[test]
fn what_is_read_of_each_file() {
    let mut text = String::new();
    for (name, bytes) in files() {
        let read = Read::from_bytes(&bytes, None).unwrap();
        let success = if read.tally.verdict.is_success() { "success" } else { "no success" };
        writeln!(text, "== {name}: {}, {success}", read.format.as_str()).unwrap();
        for case in &read.cases {
            let message = case.failure.as_ref().and_then(|failure| failure.message.as_deref());
            let message = message.map_or_else(String::new, |message| {
                let first = message.lines().next().unwrap_or_default();
                format!(": {}", first.chars().take(80).collect::<String>())
            });
            let status = case.outcome().as_str();
            writeln!(text, "{status} {}::{}{message}", case.group(), case.name).unwrap();
        }
        for note in notes(&read) {
            writeln!(text, "note {note}").unwrap();
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_file_that_is_cut_off_is_no_success_with_fewer_tests() {
    // These have one line or document per test or package and no end marker.
    let untold = [Format::Meson, Format::Allure, Format::GoText];
    let mut lies = Vec::new();
    for (name, bytes) in files() {
        let whole = Read::from_bytes(&bytes, None).unwrap();
        if untold.contains(&whole.format) || !whole.tally.verdict.is_success() {
            continue;
        }
        for part in 1..60 {
            let cut = bytes.get(..bytes.len() * part / 60).unwrap();
            if let Ok(read) = Read::from_bytes(cut, Some(whole.format)) {
                let is_less = read.cases.len() < whole.cases.len();
                let is_success = read.tally.verdict.is_success();
                if is_success && is_less {
                    lies.push(format!("{name} cut at {part}/60"));
                }
            }
        }
    }
    assert_eq!(lies, Vec::<String>::new());
}

#[test]
fn every_format_is_in_the_docs_and_has_a_file_that_a_tool_wrote() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_to_string(root.join("../../docs/formats.md")).unwrap();
    let fixtures = std::fs::read_dir(root.join("tests/it/fixtures")).unwrap();
    let fixtures = fixtures.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    let mut files: Vec<Vec<u8>> = fixtures.collect();
    files.extend(self::files().into_iter().map(|(_, bytes)| bytes));
    // Allure writes a folder of results; the server's upload tests cover it.
    let recognized: std::collections::HashSet<Format> =
        files.iter().filter_map(|file| Format::recognize(file)).chain([Format::Allure]).collect();
    for format in Format::ALL {
        assert!(docs.contains(&format!("`{}`", format.as_str())), "{format:?} is not in the docs");
        assert!(recognized.contains(&format), "{format:?} has no file");
    }
}
