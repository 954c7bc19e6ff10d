//! A report file, a folder of them or an archive, parsed as the server would.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use devmason_domain::Receipt;
use devmason_reports::files::{Bounds, Unpack, gather, is_of_a_report};
use devmason_reports::{Cause, NoteKind, Read, Reason, Seen, Sink as _, build};

use super::archive::tar;
use crate::Problem;

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
pub(super) struct File {
    pub(super) name: String,
    pub(super) body: Vec<u8>,
    /// The receipts of the reports in it.
    pub(super) receipts: Vec<Receipt>,
    /// Whether it says when it ran.
    pub(super) has_time: bool,
    pub(super) kind: Kind,
}

/// Whether a file can be sent on its own.
#[derive(PartialEq, Clone, Copy)]
pub(super) enum Kind {
    /// It is a report.
    Report,
    /// It is a malformed or truncated report.
    Broken,
    /// It contains no report.
    None,
}

impl File {
    pub(super) fn load(path: &Path) -> Result<Self, Problem> {
        Ok(Self::of(path.to_string_lossy().into_owned(), read(path)?))
    }

    /// The selected files of a folder as one archive.
    pub(super) fn load_folder(
        path: &Path,
        is_wanted: &impl Fn(&Path) -> bool,
    ) -> Result<Self, Problem> {
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

    pub(super) fn of(name: String, body: Vec<u8>) -> Self {
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
            let seen = Seen::of(&part.body);
            let format = match &seen {
                Seen::Format(format) => Some(*format),
                Seen::Foreign(_) | Seen::Nothing => None,
            };
            if let Some(problem) = &part.broken
                && (format.is_none() || part.body.is_empty())
            {
                self.kind = Kind::Broken;
                any = true;
                let text = format!("cannot read the file: {problem}");
                let mut receipt = build::receipt(part.name.as_deref(), &part.body, None, false);
                receipt.note(NoteKind::Verdict.as_str(), text);
                self.receipts.push(receipt);
                continue;
            }
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
                    if let Some(problem) = &part.broken {
                        let text = format!("cannot read the file to its end: {problem}");
                        read.against(Reason { cause: Cause::Cut, line: None, text });
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
    pub(super) fn step(&self) -> &str {
        if self.name == "-" { "standard input" } else { &self.name }
    }
}

/// The maximum depth of folders searched.
const MAX_DEPTH: u32 = 32;

/// The files below a folder.
pub(super) fn within(folder: &Path, depth: u32, files: &mut Vec<PathBuf>) -> Result<(), Problem> {
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
