//! Report files: turns the one or more files of a request body into a build or a step, each with a
//! receipt.

mod pack;
mod parse;
mod recognize;

use std::time::Instant;

use actix_web::http::header;
use actix_web::web;
use devmason_domain::{
    ClientRecord, Counts, Digest, JsonObject, Outcome, Receipt, Report, Step, Tag, TagSet,
    TestResult, TestSummary, Timestamp, limits,
};
use devmason_hypermedia::document::ComponentRef;
use devmason_reports::files::{Unpack, gather};
use devmason_reports::{Format, NoteKind, Read, Seen, build};
use devmason_repository::{KeptUpload, RawBody, RawUpload, TestReport};
use serde_json::Value;

use crate::body::Inflated;
use crate::budget::{Hold, SMALL};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
pub(crate) use pack::pack;
use parse::{Bounds, file, form};
use recognize::{is_build, is_report_in_json, unknown_format};

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

/// The report files of a request.
pub(crate) struct Upload {
    files: Vec<File>,
    received: Timestamp,
}

/// A report file.
struct File {
    /// Its name, if it came with others.
    name: Option<String>,
    /// The format detected from its first bytes.
    seen: Seen,
    /// What was parsed, except its test cases; `None` if it isn't a report.
    read: Option<Read>,
    /// Why it cannot be unpacked, if so; this fails the build.
    broken: Option<String>,
    /// Its test cases.
    results: Vec<TestResult>,
    /// Its receipt.
    receipt: Receipt,
}

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
        let files = told_apart(files);
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

/// Notes in a file's receipt if one of its tests has the same name as a test in an earlier file.
fn told_apart(mut files: Vec<File>) -> Vec<File> {
    if files.len() < 2 {
        return files;
    }
    let mut before: std::collections::HashSet<(std::sync::Arc<str>, String)> = Default::default();
    for file in &mut files {
        let doubled = file
            .results
            .iter()
            .find(|result| before.contains(&(result.suite.clone(), result.name.clone())));
        if let Some(doubled) = doubled {
            let name = devmason_domain::full_test_name(&doubled.suite, &doubled.name);
            let text =
                format!("'{name}', and possibly other tests, also appear in an earlier file");
            file.receipt.note(NoteKind::Doubled.as_str(), text);
        }
        before
            .extend(file.results.iter().map(|result| (result.suite.clone(), result.name.clone())));
    }
    files
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
    Ok(Again { steps, tests: upload.take_tests(), receipts: upload.receipts() })
}

/// Refuses more test cases than an upload may have.
pub(crate) fn not_too_many(call: &Call<'_>, cases: usize) -> Result<(), ApiError> {
    let most = call.app.settings.max_cases;
    if cases > most {
        let problem = format!("more than {most} test cases");
        return Err(ApiError::TooMuch { problem });
    }
    Ok(())
}

/// The stored form of a receipt.
pub(crate) fn written(receipt: &Receipt) -> String {
    // A receipt always serializes to JSON.
    serde_json::to_string(receipt).unwrap_or_default()
}

/// The receipt of an API document whose parsing began at this time.
pub(crate) fn document_receipt(
    call: &Call<'_>,
    began: Instant,
    steps: usize,
    tests: &[TestResult],
) -> String {
    let mut summary = TestSummary::default();
    summary.add(tests);
    written(&Receipt {
        format: Some(Receipt::DOCUMENT.to_owned()),
        recognized: Receipt::AS_SAID.to_owned(),
        bytes: Some(call.received().len() as u64),
        digest: Some(format!("sha256:{}", Digest::of(call.received()))),
        seconds: Some(began.elapsed().as_secs_f64()),
        steps: Some(steps as u64),
        tests: Some(Counts::from(&summary)),
        ..Receipt::default()
    })
}

impl Upload {
    /// The files that are reports.
    fn reads(&self) -> impl Iterator<Item = (Option<&str>, &Read)> {
        self.files.iter().filter_map(|file| Some((file.name.as_deref(), file.read.as_ref()?)))
    }

    /// Removes and returns the test cases of all files.
    fn take_tests(&mut self) -> Vec<TestResult> {
        // The cases of a single file are moved, not copied.
        let mut files = self.files.iter_mut().map(|file| std::mem::take(&mut file.results));
        let mut all = files.next().unwrap_or_default();
        files.for_each(|mut results| all.append(&mut results));
        all
    }

    /// The receipts of all files.
    fn receipts(&self) -> Vec<String> {
        self.files.iter().map(|file| written(&file.receipt)).collect()
    }

    /// The stored test cases and, if uploads are kept, the upload itself.
    pub(crate) fn test_report(mut self, call: &Call<'_>, one_step: bool) -> TestReport {
        let kept = || RawUpload {
            received: self.received,
            content_type: call.header(header::CONTENT_TYPE).unwrap_or_default().to_owned(),
            said: call.request.query_string().to_owned(),
            one_step,
            body: RawBody::Given(call.received().clone()),
        };
        let is_kept = call.app.settings.uploads.keeps(call.received().len());
        let upload = is_kept.then(kept);
        let tests = self.take_tests().into();
        TestReport { receipts: self.receipts(), tests, upload, document: None }
    }

    /// A fingerprint of the body and the request's parameters, to recognize a repeated PUT.
    pub(crate) fn digest(call: &Call<'_>) -> Digest {
        Digest::of_joined([call.request.query_string().as_bytes(), b"\0", call.received()])
    }

    /// One step per file.
    fn steps(&self, params: &Params) -> Result<Vec<Step>, ApiError> {
        let is_alone = self.reads().count() == 1;
        let mut steps = self
            .reads()
            .map(|(name, read)| step(params, name, is_alone, read, self.received))
            .collect::<Result<Vec<_>, _>>()?;
        for file in &self.files {
            if let Some(problem) = &file.broken {
                let name = file.name.as_deref().unwrap_or("archive");
                let step = build::failed_step(name, problem, self.received);
                steps.push(
                    step.map_err(|invalid| ApiError::BadValue {
                        name: "name",
                        problem: invalid.0,
                    })?,
                );
            }
        }
        Ok(steps)
    }

    /// All files as a single step.
    pub(crate) fn step(&self, params: &Params) -> Result<Step, ApiError> {
        let mut steps = self.steps(params)?.into_iter();
        // There is at least one.
        let mut whole = steps.next().ok_or(ApiError::NoReport)?;
        for step in steps {
            whole.success &= step.success;
            whole.started = whole.started.min(step.started);
            whole.finished = whole.finished.max(step.finished);
            whole.output += &step.output;
            whole.errout += &step.errout;
        }
        if let Some(name) = params.first("name") {
            whole.name = name.replace('\0', "\u{fffd}").parse().map_err(
                |invalid: devmason_domain::Invalid| ApiError::BadValue {
                    name: "name",
                    problem: invalid.0,
                },
            )?;
        }
        Ok(whole)
    }

    /// The files as a build, with data from the request's parameters.
    pub(crate) fn report(
        &self,
        params: &Params,
        digest: Option<Digest>,
    ) -> Result<Report, ApiError> {
        let bad = |name: &'static str| {
            move |invalid: devmason_domain::Invalid| ApiError::BadValue { name, problem: invalid.0 }
        };
        let steps = self.steps(params)?;
        let tags: Vec<Tag> =
            params.all("tag").map(str::parse).collect::<Result<_, _>>().map_err(bad("tag"))?;
        let finished = steps.iter().map(|step| step.finished).max().unwrap_or(self.received);
        Ok(Report {
            started: steps.iter().map(|step| step.started).min().unwrap_or(self.received),
            received: self.received,
            outcome: Outcome::Finished { success: steps.iter().all(|step| step.success), finished },
            tags: TagSet::new(tags).map_err(bad("tag"))?,
            client: self.client(params)?,
            steps,
            digest,
        })
    }

    /// The client record: `host`, `arch` and `user`, any `client.x`, and a host named in a file.
    fn client(&self, params: &Params) -> Result<ClientRecord, ApiError> {
        let mut members: Vec<(String, String)> = Vec::new();
        let named = ["host", "arch", "user"].into_iter();
        let given =
            named.filter_map(|name| Some((name.to_owned(), params.first(name)?.to_owned())));
        for (name, value) in given.chain(params.with_prefix("client.")) {
            if members.iter().any(|(known, _)| *known == name) {
                let problem = format!("'{name}' is given twice");
                return Err(ApiError::BadValue { name: "client", problem });
            }
            members.push((name, value));
        }
        if !members.iter().any(|(name, _)| name == "host")
            && let Some(host) = self.reads().find_map(|(_, read)| read.host())
        {
            members.push(("host".to_owned(), host.to_owned()));
        }
        let members = members
            .into_iter()
            .map(|(name, value)| {
                Ok((name, serde_json::value::to_raw_value(&Value::String(value))?))
            })
            .collect::<Result<Vec<_>, serde_json::Error>>()
            .map_err(|error| ApiError::Unwritable(error.to_string()))?;
        JsonObject::from_members(&members)
            .map(ClientRecord)
            .map_err(|invalid| ApiError::Unwritable(invalid.0))
    }
}

/// A file as a step. A single file gets the name in the request, otherwise each keeps its own.
fn step(
    params: &Params,
    file: Option<&str>,
    is_alone: bool,
    read: &Read,
    received: Timestamp,
) -> Result<Step, ApiError> {
    let bad = |name: &'static str| {
        move |invalid: devmason_domain::Invalid| ApiError::BadValue { name, problem: invalid.0 }
    };
    let started = params.first("started").map(str::parse).transpose().map_err(bad("started"))?;
    let name = params.first("name").filter(|_| is_alone).or(file);
    read.step(name, started, received).map_err(bad("name"))
}

/// The components named in the request's parameters, by id or as `type:name`.
pub(crate) fn components(params: &Params) -> Result<Vec<ComponentRef>, ApiError> {
    let bad = || ApiError::BadValue {
        name: "component",
        problem: "specify a component as an id or as 'type:name'".to_owned(),
    };
    let one = |text: &str| -> Result<ComponentRef, ApiError> {
        match uuid::Uuid::try_parse(text) {
            Ok(id) => Ok(ComponentRef::Id(id)),
            Err(_) => {
                let (component_type, name) = text.split_once(':').ok_or_else(bad)?;
                Ok(ComponentRef::Name {
                    component_type: component_type.parse().map_err(|_| bad())?,
                    name: name.parse().map_err(|_| bad())?,
                })
            }
        }
    };
    let mut all = params.all("component").map(one).collect::<Result<Vec<_>, ApiError>>()?;
    let mut seen = std::collections::HashSet::new();
    all.retain(|component| seen.insert(component.clone()));
    if all.len() > limits::COMPONENTS {
        let problem = format!("a build may have at most {} components", limits::COMPONENTS);
        return Err(ApiError::BadValue { name: "component", problem });
    }
    Ok(all)
}
