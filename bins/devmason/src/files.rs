//! `devmason report`: reports files written by test tools.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{IsTerminal, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use devmason_client::{About, Document, Entry, Timestamp, blocking};
use devmason_domain::Receipt;
use devmason_reports::files::{Bounds, Unpack, gather, is_of_a_report};
use devmason_reports::{Cause, Format, NoteKind, Read, Reason, Seen, Sink as _, Status, build};
use indicatif::{ProgressBar, ProgressStyle};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::cli::Patience;
use crate::outbox::{self, Outbox};
use crate::settings::Settings;
use crate::{Problem, about, beginning, print, print_json, say, sent};

/// How far a file system may round a modification time down.
const ROUNDED: Duration = Duration::from_secs(2);

/// Several files up to this total size, in bytes, are sent in one request.
const TOGETHER: usize = 16 << 20;

/// The contents of a file; - is standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    read.map_err(|error| Problem::usage(format!("{}: {error}", path.display())))
}

/// The files that match a path or a pattern, and the errors of others. An existing file is used
/// literally, whatever its name.
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
    if files.is_empty() { vec![bad("no such file".to_owned())] } else { files }
}

/// The maximum unpacked size of an archive for a local check, in bytes.
const UNPACKED: usize = 1 << 30;

/// A local check may use all memory.
struct Unbounded;

impl Bounds for Unbounded {
    type Error = String;
    fn room(&self, _: usize) -> Result<(), String> {
        Ok(())
    }
    fn bad(&self, problem: String) -> String {
        problem
    }
    fn no_room(&self) -> String {
        "not enough memory".to_owned()
    }
    fn too_long(&self) -> String {
        format!("the uncompressed content exceeds {UNPACKED} bytes")
    }
}

/// A report file or archive, parsed as the server would.
struct File {
    name: String,
    body: Vec<u8>,
    /// The receipts of the reports in it.
    receipts: Vec<Receipt>,
    /// Whether it says when it ran.
    has_time: bool,
    kind: Kind,
}

/// Whether a file can be sent on its own.
#[derive(PartialEq, Clone, Copy)]
enum Kind {
    /// It is a report.
    Report,
    /// It is a malformed or truncated report.
    Broken,
    /// It contains no report.
    None,
}

impl File {
    fn load(path: &Path) -> Result<Self, Problem> {
        Ok(Self::of(path.to_string_lossy().into_owned(), read(path)?))
    }

    /// The selected files of a folder as one archive.
    fn load_folder(path: &Path, is_wanted: &impl Fn(&Path) -> bool) -> Result<Self, Problem> {
        let mut files = Vec::new();
        within(path, 0, &mut files)?;
        files.retain(|file| is_wanted(file));
        if files.is_empty() {
            return Err(Problem::usage(format!("{}: contains no new files", path.display())));
        }
        files.sort();
        let bodies = files
            .iter()
            .map(|file| Ok((file.strip_prefix(path).unwrap_or(file), read(file)?)))
            .collect::<Result<Vec<_>, Problem>>()?;
        let named = bodies.iter().map(|(name, body)| (name.to_string_lossy(), body.as_slice()));
        let body = tar(named)?;
        Ok(Self::of(path.to_string_lossy().into_owned(), body))
    }

    fn of(name: String, body: Vec<u8>) -> Self {
        let mut file =
            Self { name, body, receipts: Vec::new(), has_time: false, kind: Kind::Report };
        if let Err((kind, problem)) = file.look() {
            file.kind = kind;
            let mut receipt = Receipt { file: Some(file.step().to_owned()), ..Receipt::default() };
            receipt.note(NoteKind::Dropped.as_str(), problem);
            file.receipts.push(receipt);
        }
        file
    }

    /// Parses it as the server would.
    fn look(&mut self) -> Result<(), (Kind, String)> {
        let name = self.step().to_owned();
        // The archive takes over the file's bytes and returns them.
        let body = Bytes::from(std::mem::take(&mut self.body));
        let unpacked =
            Unpack::new(UNPACKED, &Unbounded).each(vec![(Some(name.clone()), body.clone())]);
        self.body = body.into();
        let broken = |problem| (Kind::Broken, problem);
        let files = gather(unpacked.map_err(broken)?, &Unbounded).map_err(broken)?;
        // An archive is never alone: its members have their own names.
        let is_alone = files.iter().all(|part| part.name.as_ref() == Some(&name));
        let mut any = false;
        for part in files {
            let start = Instant::now();
            if let Some(problem) = &part.broken {
                self.kind = Kind::Broken;
                any = true;
                let text = format!("cannot read the file: {problem}");
                let mut receipt = build::receipt(part.name.as_deref(), &part.body, None, false);
                receipt.note(NoteKind::Verdict.as_str(), text);
                self.receipts.push(receipt);
                continue;
            }
            let seen = Seen::of(&part.body);
            let format = match &seen {
                Seen::Format(format) => Some(*format),
                Seen::Foreign(_) | Seen::Nothing => None,
            };
            let mut receipt = build::receipt(part.name.as_deref(), &part.body, format, false);
            if part.files > 1 {
                receipt.files = Some(part.files as u64);
            }
            match format {
                Some(format) => {
                    any = true;
                    let mut read = Read::of(format);
                    if let Some(note) = part.note() {
                        read.note(note);
                    }
                    if let Err(error) = devmason_reports::read_slice(format, &part.body, &mut read)
                    {
                        self.kind = Kind::Broken;
                        let text = format!("cannot parse the file: {error}");
                        read.against(Reason { cause: Cause::Cut, line: error.line, text });
                    }
                    self.has_time |= read.suites.iter().any(|suite| suite.started.is_some())
                        || read.cases.iter().any(|case| case.started.is_some());
                    build::receive(&mut receipt, &read, start.elapsed());
                }
                None if is_alone && part.body.is_empty() && is_of_a_report(&name) => {
                    return Err((Kind::Broken, "empty file".to_owned()));
                }
                None if is_alone => return Err((Kind::None, seen.refusal())),
                None => build::leave_out(&mut receipt, &seen),
            }
            self.receipts.push(receipt);
        }
        if any { Ok(()) } else { Err((Kind::None, "contains no report".to_owned())) }
    }

    /// The name of its step.
    fn step(&self) -> &str {
        if self.name == "-" { "standard input" } else { &self.name }
    }
}

/// The maximum depth of folders searched.
const MAX_DEPTH: u32 = 32;

/// The files below a folder.
fn within(folder: &Path, depth: u32, files: &mut Vec<PathBuf>) -> Result<(), Problem> {
    let bad = |error: std::io::Error| Problem::usage(format!("{}: {error}", folder.display()));
    for entry in std::fs::read_dir(folder).map_err(bad)? {
        let path = entry.map_err(bad)?.path();
        if path.is_file() {
            files.push(path);
        } else if path.is_dir() && !path.is_symlink() && depth < MAX_DEPTH {
            within(&path, depth + 1, files)?;
        }
    }
    Ok(())
}

/// The non-zero counts.
pub(crate) fn words(counts: &[(usize, &str)]) -> String {
    let words: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if words.is_empty() { "no cases".to_owned() } else { words.join(", ") }
}

/// The query for a file that becomes a step.
fn query(name: &str) -> String {
    format!("?name={}", utf8_percent_encode(name, NON_ALPHANUMERIC))
}

/// The selected files of several patterns, and whether all are included; errors are printed.
fn load(patterns: &[String], is_wanted: impl Fn(&Path) -> bool) -> (Vec<File>, bool) {
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

/// Converts files to requests for a build in progress, each with the query of its step. A malformed
/// file is sent as an archive of one, so that its partial contents fail the build. Files that are
/// not reports go with the first report, so that the receipt lists them.
fn steps(files: Vec<File>) -> Vec<(String, Vec<u8>)> {
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
        let is_bad = files.iter().any(|file| file.kind != Kind::Report);
        let receipts: Vec<Receipt> = files.into_iter().flat_map(|file| file.receipts).collect();
        let receipt = Document(json!({ "uploads": receipts }));
        if settings.json {
            print_json(&receipt)?
        } else {
            print_receipt(&receipt, print)?
        }
        return Ok(if is_all { u8::from(is_bad) } else { 2 });
    }
    if files.is_empty() {
        return Err(Problem::usage("nothing to report: no readable files"));
    }
    let receipts: Vec<Receipt> = files.iter().flat_map(|file| file.receipts.clone()).collect();
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
        for (query, body) in steps(files) {
            outbox.push(outbox::file(&about.build, &query, body));
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
        // It has been sent, even if its receipt cannot be read.
        if let Err(problem) = show_receipt(settings, &about) {
            say(&problem.text);
        }
    } else if !settings.quiet {
        let to_errors = |line: &str| {
            say(line);
            Ok(())
        };
        print_receipt(&Document(json!({ "uploads": receipts })), to_errors)?;
    }
    // Readable files are reported; errors of the others have been printed.
    Ok(if is_all { code } else { 2 })
}

/// A progress bar if there is a terminal.
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
    // If it is sent later, it must not appear to have started then.
    if !files.iter().any(|file| file.has_time) {
        add("started", &Timestamp::now().to_rfc3339_utc());
    }
    let (media_type, body) = match files {
        [file] => {
            add("name", file.step());
            ("application/octet-stream", file.body.clone())
        }
        _ => {
            let named = files.iter().map(|file| (file.step().into(), file.body.as_slice()));
            ("application/x-tar", tar(named)?)
        }
    };
    Ok(Entry {
        method: "PUT".to_owned(),
        target: format!("{}?{}", about.build, query.join("&")),
        key: None,
        media_type: media_type.to_owned(),
        body,
    })
}

/// An archive of files, by their names.
fn tar<'a>(files: impl Iterator<Item = (Cow<'a, str>, &'a [u8])>) -> Result<Vec<u8>, Problem> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, body) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(body.len() as u64);
        header.set_mode(0o644);
        // A path in an archive must be relative.
        let parts = name.split('/').filter(|part| !matches!(*part, "" | "." | ".."));
        let name = parts.collect::<Vec<_>>().join("/");
        let name = if name.is_empty() { "files".to_owned() } else { name };
        archive
            .append_data(&mut header, &name, body)
            .map_err(|error| Problem::failed(format!("{name}: {error}")))?;
    }
    archive.into_inner().map_err(|error| Problem::failed(error.to_string()))
}

/// Prints the server's receipt.
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
    print_receipt(&receipt, print)
}

/// Prints a receipt, one line per file and per note.
fn print_receipt(
    receipt: &Document,
    print: impl Fn(&str) -> Result<(), Problem>,
) -> Result<(), Problem> {
    for upload in receipt.list("uploads") {
        let count = |word: &str| {
            upload.0.get("tests").and_then(|tests| tests.get(word)).and_then(Value::as_u64)
        };
        let counts = Status::ALL
            .map(|status| status.as_str())
            .map(|word| (usize::try_from(count(word).unwrap_or(0)).unwrap_or(usize::MAX), word));
        let file = upload.0.get("file").and_then(Value::as_str).unwrap_or("report");
        let format = upload.0.get("format").and_then(Value::as_str).unwrap_or("not a report");
        print(&format!("{file}: {format}, {}", words(&counts)))?;
        for note in upload.list("notes") {
            let line = note.0.get("line").and_then(Value::as_u64);
            let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            print(&format!("  {}: {line}{}", note.text("kind"), note.text("text")))?;
        }
    }
    Ok(())
}
