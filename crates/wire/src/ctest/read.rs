//! Reads a file of a submission.

use std::collections::BTreeMap;

use devmason_domain::Timestamp;
use devmason_reports::{Format, Read, build};

use super::files::{Analysis, Compilation, Coverage, Notes, Update, Uploaded};
use super::{File, Identity, Kind, PROTOCOL};
use crate::part::{Draft, at, member};
use crate::xml::{Element, walk};
use crate::{Part, WireError};

/// What all files say, in elements that stand directly within the file's kind.
#[derive(Default)]
pub(super) struct Said {
    texts: BTreeMap<String, String>,
}

impl Said {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// Takes a text out.
    pub(super) fn take(&mut self, name: &str) -> String {
        self.texts.remove(name).unwrap_or_default()
    }

    /// Start and end: from seconds since 1970.
    pub(super) fn times(&self, kind: &str, received: Timestamp) -> (Timestamp, Timestamp) {
        let of = |which: &str| {
            let named = self.text(&format!("{which}{kind}Time"));
            named.or_else(|| self.text(&format!("{which}Time")))
        };
        let started = at(of("Start"), received);
        (started, at(of("End"), started))
    }
}

/// Reads a file. `name` is its name, if the client sent one.
///
/// # Errors
/// It is no XML, or of no known kind; a test report that is broken.
pub fn read(body: &[u8], name: Option<&str>, received: Timestamp) -> Result<File, WireError> {
    let text = String::from_utf8_lossy(body);
    let kind = kind(&text)?;
    let mut part = Part::new(name, PROTOCOL, body);
    if matches!(text, std::borrow::Cow::Owned(_)) {
        part.receipt.note("odd", "bytes that are no UTF-8 were replaced by U+FFFD");
    }
    let mut file =
        File { kind, identity: Identity::default(), build_number: None, ended: None, part };
    if text_root(&text).is_some_and(|root| root.starts_with("testsuite")) {
        tests(&mut file, body, Format::Junit, received)?;
        return Ok(file);
    }
    let mut said = Said::default();
    let (mut update, mut compilation) = (Update::default(), Compilation::default());
    let (mut coverage, mut analysis) = (Coverage::default(), Analysis::default());
    let (mut notes, mut uploaded) = (Notes::default(), Uploaded::default());
    let mut site: Vec<(String, String)> = Vec::new();
    walk(&text, |element, around| {
        let within = around.last().map_or("", |element| element.name.as_str());
        if element.name == "Site" && !element.attributes().collect::<Vec<_>>().is_empty() {
            let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
            site = element.attributes().map(owned).collect();
        }
        // Long texts of tests are read by the reader of reports.
        if Kind::of_element(within).is_some() && kind != Kind::Test || within == "Testing" {
            said.texts.entry(element.name.clone()).or_insert_with(|| element.text.clone());
        }
        match kind {
            Kind::Update => update.take(element, around),
            Kind::Build => compilation.take(element, around),
            Kind::Coverage => coverage.take(element, around),
            Kind::DynamicAnalysis => analysis.take(element, around),
            Kind::Notes => notes.take(element, around),
            Kind::Upload => uploaded.take(element, around),
            Kind::Configure | Kind::Test | Kind::CoverageLog | Kind::Done => {}
        }
    })?;
    file.identity = identity(&site, &said, kind);
    let (started, finished) = match kind {
        Kind::Update | Kind::Coverage | Kind::DynamicAnalysis => said.times("", received),
        Kind::Configure => said.times("Configure", received),
        Kind::Build => said.times("Build", received),
        _ => (received, received),
    };
    let drafted = |success: bool, output: String, errout: String| Draft {
        name: kind.step().unwrap_or_default(),
        success,
        started,
        finished,
        output,
        errout,
        extras: Vec::new(),
    };
    match kind {
        Kind::Configure => {
            let status = said.text("ConfigureStatus").map_or("0", str::trim).to_owned();
            let mut draft = drafted(status == "0", said.take("Log"), String::new());
            draft.extras.extend(match status.parse::<i64>() {
                Ok(status) => member("exit_code", &status),
                Err(_) => member("exit_code", &status),
            });
            draft.extras.extend(command(&said, "ConfigureCommand"));
            file.part.with_step(draft.step(&[])?, Vec::new());
        }
        Kind::Update => {
            let (success, output, errout) = update.end(&said);
            file.part.client.extend(
                said.text("Revision").map(|commit| ("commit".to_owned(), commit.trim().to_owned())),
            );
            let mut draft = drafted(success, output, errout);
            draft.extras.extend(command(&said, "UpdateCommand"));
            for name in ["UpdateType", "Revision", "PriorRevision"] {
                draft.extras.extend(said.text(name).and_then(|text| member(name, &text.trim())));
            }
            file.part.with_step(draft.step(&[])?, Vec::new());
        }
        Kind::Build => {
            let (success, output, errout, counts) = compilation.end();
            let mut draft = drafted(success, output, errout);
            draft.extras.extend(command(&said, "BuildCommand"));
            draft.extras.extend(counts);
            file.part.with_step(draft.step(&[])?, Vec::new());
        }
        Kind::Test => tests(&mut file, body, Format::Ctest, received)?,
        Kind::Coverage => {
            let mut draft = drafted(true, coverage.end(), String::new());
            for name in ["LOCTested", "LOCUntested", "LOC", "PercentCoverage"] {
                let number = said.text(name).and_then(|text| text.trim().parse::<f64>().ok());
                draft.extras.extend(number.and_then(|number| member(name, &number)));
            }
            file.part.with_step(draft.step(&[])?, Vec::new());
        }
        Kind::CoverageLog => file.part.dropped("the coverage of each line has no place here"),
        Kind::DynamicAnalysis => {
            let tests = analysis.end();
            let success = tests.iter().all(|test| !test.status.is_bad());
            let mut draft = drafted(success, String::new(), String::new());
            draft.extras.extend(analysis.checker.as_ref().and_then(|name| member("checker", name)));
            file.part.with_step(draft.step(&tests)?, tests);
        }
        Kind::Notes => {
            let draft = drafted(true, notes.end(), String::new());
            file.part.with_step(draft.step(&[])?, Vec::new());
        }
        Kind::Upload => uploaded.end(&mut file.part),
        Kind::Done => {
            file.build_number = said.text("buildId").map(|number| number.trim().to_owned());
            file.ended = Some(at(said.text("time"), received));
        }
    }
    client(&mut file.part, site);
    Ok(file)
}

/// The kind of a file, from its first elements.
fn kind(text: &str) -> Result<Kind, WireError> {
    let unknown = || {
        WireError::UnknownFormat(
            "this is no file of CTest or CDash: the first element is neither Site, Update, Done nor testsuite"
                .to_owned(),
        )
    };
    let root = text_root(text).ok_or_else(unknown)?;
    if root != "Site" {
        return Kind::of_element(root).ok_or_else(unknown);
    }
    // Its children may begin with others, such as Subproject.
    let mut rest = text.find("<Site").and_then(|at| text.get(at + 5..)).unwrap_or_default();
    while let Some((name, behind)) = next_element(rest) {
        if let Some(kind) = Kind::of_element(name) {
            return Ok(kind);
        }
        rest = behind;
    }
    Err(unknown())
}

/// The name of the first element.
fn text_root(text: &str) -> Option<&str> {
    next_element(text).map(|(name, _)| name)
}

/// The name of the next element that starts, and what is behind its name.
fn next_element(text: &str) -> Option<(&str, &str)> {
    let mut rest = text;
    loop {
        rest = rest.get(rest.find('<')? + 1..)?;
        // Processing instructions may contain anything but their end.
        let skipped = match rest.as_bytes().first()? {
            b'?' => rest.find("?>").map(|end| end + 2),
            b'!' if rest.starts_with("!--") => rest.find("-->").map(|end| end + 3),
            b'!' if rest.starts_with("![CDATA[") => rest.find("]]>").map(|end| end + 3),
            b'!' | b'/' => rest.find('>').map(|end| end + 1),
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || c == '>' || c == '/')?;
                return Some((rest.get(..end)?, rest.get(end..)?));
            }
        };
        rest = rest.get(skipped?..)?;
    }
}

fn identity(site: &[(String, String)], said: &Said, kind: Kind) -> Identity {
    let of = |name: &str| {
        let found = site.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let own = Identity { site: of("Name"), build: of("BuildName"), stamp: of("BuildStamp") };
    if kind != Kind::Update {
        return own;
    }
    let said = |name: &str| said.text(name).unwrap_or_default().trim().to_owned();
    own.or(Identity { site: said("Site"), build: said("BuildName"), stamp: said("BuildStamp") })
}

/// The attributes of the site as members of the client record.
fn client(part: &mut Part, site: Vec<(String, String)>) {
    for (name, value) in site {
        if value.is_empty() {
            continue;
        }
        match name.as_str() {
            // The request says these, too.
            "Name" | "BuildName" | "BuildStamp" => {}
            "OSPlatform" => part.client.push(("arch".to_owned(), value)),
            _ => part.client.push((name, value)),
        }
    }
}

fn command(said: &Said, name: &str) -> Option<(String, Box<serde_json::value::RawValue>)> {
    said.text(name).and_then(|command| member("command", &command.trim()))
}

/// Reads the test cases of a file.
fn tests(
    file: &mut File,
    body: &[u8],
    format: Format,
    received: Timestamp,
) -> Result<(), WireError> {
    let broken = |error: devmason_reports::ReadError| WireError::bad("body", error.to_string());
    let mut read = match Read::from_bytes(body, Some(format)) {
        Ok(read) => read,
        Err(error) => return Err(broken(error)),
    };
    let invalid = |error: devmason_domain::Invalid| WireError::bad("step", error.0);
    let step = read.step(Kind::Test.step(), None, received).map_err(invalid)?;
    let mut receipt = std::mem::take(&mut file.part.receipt);
    build::receive(&mut receipt, &read, std::time::Duration::ZERO);
    receipt.seconds = None;
    file.part.receipt = receipt;
    let results = read.take_results();
    file.part.with_step(step, results);
    Ok(())
}

pub(super) fn is_within(around: &[Element], name: &str) -> bool {
    around.iter().any(|element| element.name == name)
}
