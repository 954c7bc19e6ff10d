//! `devmason report`: files that test tools wrote.

use std::io::{IsTerminal, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use devmason_client::{About, Entry, Timestamp, blocking};
use devmason_reports::{Case, Read, Status};
use indicatif::{ProgressBar, ProgressStyle};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::cli::Patience;
use crate::outbox::{self, Outbox};
use crate::settings::Settings;
use crate::{Problem, about, beginning, print, print_json, say, sent};

/// By how much a file system may round a file's time down.
const ROUNDED: Duration = Duration::from_secs(2);

/// Up to so many bytes several files go in one request.
const TOGETHER: usize = 16 << 20;

/// A file's bytes; - is standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    read.map_err(|error| Problem::usage(format!("{}: {error}", path.display())))
}

/// The files that a path or a pattern means, and what is wrong with some. One that is there is itself, whatever its
/// name looks like.
fn found(pattern: &str) -> Vec<Result<PathBuf, Problem>> {
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
    if files.is_empty() { vec![bad("there is no such file".to_owned())] } else { files }
}

/// A report file that was read.
struct File {
    name: String,
    body: Vec<u8>,
    read: Result<Read, devmason_reports::ReadError>,
}

impl File {
    fn load(path: &Path) -> Result<Self, Problem> {
        let body = read(path)?;
        let read = Read::from_bytes(&body, None);
        Ok(Self { name: path.to_string_lossy().into_owned(), body, read })
    }

    /// What its step is called.
    fn step(&self) -> &str {
        if self.name == "-" { "standard input" } else { &self.name }
    }

    /// What is read of it, in a line.
    fn summary(&self) -> String {
        match &self.read {
            Ok(read) => {
                let count =
                    |status| read.cases.iter().filter(|case| Case::outcome(case) == status).count();
                let counts = Status::ALL.map(|status| (count(status), status.as_str()));
                format!("{}: {}, {}", self.step(), read.format.as_str(), words(&counts))
            }
            Err(error) => format!("{}: {error}", self.step()),
        }
    }
}

/// Counts that are not nothing.
pub(crate) fn words(counts: &[(usize, &str)]) -> String {
    let words: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if words.is_empty() { "no cases".to_owned() } else { words.join(", ") }
}

/// The query of a file that becomes a step.
fn query(name: &str) -> String {
    format!("?name={}", utf8_percent_encode(name, NON_ALPHANUMERIC))
}

/// The files of patterns that are wanted, and whether that is all of them; what is wrong with the others is told.
fn load(patterns: &[String], is_wanted: impl Fn(&Path) -> bool) -> (Vec<File>, bool) {
    let mut files = Vec::new();
    let mut is_all = true;
    for path in patterns.iter().flat_map(|pattern| found(pattern)) {
        let loaded = match path {
            Ok(path) if !is_wanted(&path) => continue,
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
    (files, is_all)
}

/// The report files that a command wrote since then, each with the query of its step: one of an earlier run is not
/// this one's. What is wrong with them is told.
pub(crate) fn written(patterns: &[String], since: SystemTime) -> Vec<(String, Vec<u8>)> {
    // File systems round their times.
    let since = since.checked_sub(ROUNDED).unwrap_or(since);
    let is_new = |path: &Path| {
        let modified = std::fs::metadata(path).and_then(|file| file.modified());
        let is_new = modified.is_ok_and(|at| at >= since);
        if !is_new {
            let name = path.display();
            say(&format!("{name} was not written by this command; it is left out"));
        }
        is_new
    };
    let (files, _) = load(patterns, is_new);
    files.into_iter().map(|file| (query(file.step()), file.body)).collect()
}

pub(crate) fn report(
    settings: &Settings,
    build: Option<&str>,
    id: Option<&str>,
    check: bool,
    patience: Patience,
    patterns: &[String],
) -> Result<u8, Problem> {
    let (files, is_all) = load(patterns, |_| true);
    if check {
        files.iter().try_for_each(|file| print(&file.summary()))?;
        let is_bad = files.iter().any(|file| file.read.is_err());
        return Ok(if is_all { u8::from(is_bad) } else { 2 });
    }
    if files.is_empty() {
        return Err(Problem::usage("nothing was reported: there is no file to read"));
    }
    let bytes: usize = files.iter().map(|file| file.body.len()).sum();
    let is_together = bytes <= TOGETHER;
    let (mut outbox, about, is_new) = match build.filter(|build| !build.is_empty()) {
        Some(build) => {
            let (outbox, about) = crate::resume(settings, build, patience)?;
            (outbox, about, false)
        }
        None => {
            let about = about(settings, id)?;
            (Outbox::begin(settings, about.clone(), !is_together, patience.wait())?, about, true)
        }
    };
    if is_new && is_together {
        outbox.push(together(settings, &about, files.as_slice())?);
    } else {
        if is_new {
            outbox.push(outbox::build(&about.build, &beginning(settings))?);
        }
        let bar = bar(settings, files.len());
        for file in &files {
            outbox.push(outbox::file(&about.build, &query(file.step()), file.body.clone()));
            bar.inc(1);
        }
        bar.finish_and_clear();
        if is_new {
            outbox.push(outbox::end(&about.build, None)?);
        }
    }
    let outcome = outbox.finish();
    let is_sent = outcome.is_sent();
    let code = sent(settings, &about, outcome)?;
    if is_sent {
        // It was sent, whether or not its receipt can be read.
        if let Err(problem) = show_receipt(settings, &about) {
            say(&problem.text);
        }
    } else if !settings.quiet {
        files.iter().for_each(|file| say(&file.summary()));
    }
    // What could be read is reported; what could not was said.
    Ok(if is_all { code } else { 2 })
}

/// A bar where there is a terminal to see it.
fn bar(settings: &Settings, length: usize) -> ProgressBar {
    if settings.quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} files {per_sec} {eta}");
    let bar = ProgressBar::new(length as u64);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// All files as one build, in one request.
fn together(settings: &Settings, about: &About, files: &[File]) -> Result<Entry, Problem> {
    let mut query = Vec::new();
    let mut add = |name: &str, value: &str| {
        query.push(format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
    };
    settings.tags.iter().for_each(|tag| add("tag", tag));
    for (name, value) in settings.place.record() {
        let Value::String(value) = value else { continue };
        match name.as_str() {
            "host" | "arch" | "user" => add(&name, &value),
            _ => add(&format!("client.{name}"), &value),
        }
    }
    let has_time = |read: &Read| {
        read.suites.iter().any(|suite| suite.started.is_some())
            || read.cases.iter().any(|case| case.started.is_some())
    };
    // Sent later, it must not have started then.
    if !files.iter().any(|file| file.read.as_ref().is_ok_and(has_time)) {
        add("started", &Timestamp::now().to_rfc3339_utc());
    }
    let (media_type, body) = match files {
        [file] => {
            add("name", file.step());
            ("application/octet-stream", file.body.clone())
        }
        _ => ("application/x-tar", tar(files)?),
    };
    Ok(Entry {
        method: "PUT".to_owned(),
        target: format!("{}?{}", about.build, query.join("&")),
        key: None,
        media_type: media_type.to_owned(),
        body,
    })
}

fn tar(files: &[File]) -> Result<Vec<u8>, Problem> {
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.body.len() as u64);
        header.set_mode(0o644);
        // A path of an archive begins nowhere but in it.
        let name = file.step().trim_start_matches('/').replace("../", "");
        archive
            .append_data(&mut header, name, file.body.as_slice())
            .map_err(|error| Problem::failed(format!("{}: {error}", file.name)))?;
    }
    archive.into_inner().map_err(|error| Problem::failed(error.to_string()))
}

/// What the server read.
fn show_receipt(settings: &Settings, about: &About) -> Result<(), Problem> {
    if settings.quiet && !settings.json {
        return Ok(());
    }
    let client = blocking::Client::new(settings.client()?)?;
    let build = client.get(&about.build)?;
    let receipt = client.follow(&build, "receipt")?;
    if settings.json {
        return print_json(&receipt);
    }
    for upload in receipt.list("uploads") {
        let count = |word: &str| {
            upload.0.get("tests").and_then(|tests| tests.get(word)).and_then(Value::as_u64)
        };
        let counts = Status::ALL
            .map(|status| status.as_str())
            .map(|word| (usize::try_from(count(word).unwrap_or(0)).unwrap_or(usize::MAX), word));
        let file = upload.0.get("file").and_then(Value::as_str).unwrap_or("report");
        let format = upload.0.get("format").and_then(Value::as_str).unwrap_or("no report");
        print(&format!("{file}: {format}, {}", words(&counts)))?;
        for note in upload.list("notes") {
            let line = note.0.get("line").and_then(Value::as_u64);
            let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            print(&format!("  {}: {line}{}", note.text("kind"), note.text("text")))?;
        }
    }
    Ok(())
}
