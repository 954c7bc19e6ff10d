//! Report files: turns the one or more files of a request body into a build or a step, each with a
//! receipt.

use std::time::Instant;

use actix_web::http::header;
use actix_web::web;
use devmason_domain::{
    ClientRecord, Counts, Digest, JsonObject, Outcome, Receipt, Report, Step, Tag, TagSet,
    TestResult, TestSummary, Timestamp, limits,
};
use devmason_hypermedia::document::ComponentRef;
use devmason_reports::files::{Gathered, Named, Unpack, gather};
use devmason_reports::{
    Case, Cause, Fault, Format, Note, NoteKind, Read, ReadError, Reason, Seen, Sink, Suite, build,
};
use devmason_repository::{KeptUpload, RawUpload, TestReport};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::body::Inflated;
use crate::budget::{Hold, Lane, SMALL};
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

/// Memory for a report whose parser builds its own representation, as a multiple of its length.
const HELD: usize = 8;

/// Memory for JSON that must be decoded before parsing, as a multiple of its length.
const DECODED: usize = 3;

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

/// Whether JSON has a top-level member of a build that other tools don't use, such as its steps,
/// tags or client.
fn is_build(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Members<'a> {
        #[serde(borrow)]
        results: Option<&'a RawValue>,
        #[serde(borrow)]
        tags: Option<&'a RawValue>,
        #[serde(borrow)]
        client: Option<&'a RawValue>,
        incremental: Option<bool>,
    }
    serde_json::from_slice::<Members<'_>>(body).is_ok_and(|members| {
        members.results.is_some()
            || members.tags.is_some()
            || members.client.is_some()
            || members.incremental.is_some()
    })
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

/// What remains of the limits shared by all files of an upload.
struct Bounds<'a> {
    cases: usize,
    /// Bytes of names and suites.
    names: usize,
    /// Notes kept in receipts.
    notes: usize,
    hold: &'a Hold,
}

/// Bytes drawn at once for parsed data.
const DRAWN_AT_ONCE: usize = 1 << 20;

/// Additional memory for storing a case, in bytes: the keys of its rows.
const STORED_CASE: usize = 100;

/// A report being parsed within limits.
struct Bounded<'a, 'b> {
    read: Read,
    results: Vec<TestResult>,
    as_results: build::Results,
    bounds: &'a mut Bounds<'b>,
    suites: usize,
    /// Bytes not yet drawn.
    undrawn: usize,
    /// The suites of the last case, shared by cases in the same suite.
    last: Option<std::sync::Arc<[String]>>,
}

impl Bounded<'_, '_> {
    fn grow(&mut self, bytes: usize) -> Result<(), ReadError> {
        self.undrawn += bytes;
        if self.undrawn < DRAWN_AT_ONCE {
            return Ok(());
        }
        let drawn = self.bounds.hold.draw_whole_blocking(Lane::Work, self.undrawn);
        self.undrawn = 0;
        match drawn {
            Ok(()) => Ok(()),
            Err(ApiError::TooMuch { problem }) => Err(ReadError::too_much(problem)),
            Err(_) => Err(ReadError::no_room()),
        }
    }
}

impl Sink for Bounded<'_, '_> {
    fn suite(&mut self, suite: Suite) -> Result<(), ReadError> {
        self.suites += 1;
        if self.suites > limits::SUITES {
            let problem = format!("the report has more than {} suites", limits::SUITES);
            return Err(ReadError::too_much(problem));
        }
        self.grow(suite.bytes())?;
        self.read.suite(suite)
    }

    fn case(&mut self, case: Case) -> Result<(), ReadError> {
        self.room(0)?;
        self.bounds.cases -= 1;
        let is_shared =
            self.last.as_ref().is_some_and(|last| std::sync::Arc::ptr_eq(last, &case.suites));
        let own: usize = case.suites.iter().map(|name| name.len() + size_of::<String>()).sum();
        if !is_shared {
            self.last = Some(case.suites.clone());
        }
        let group = case.class.as_ref().map_or(own, String::len);
        let names = group + case.name.len();
        self.bounds.names = self.bounds.names.checked_sub(names).ok_or_else(|| {
            let problem = format!("the test case names exceed {} bytes in total", limits::NAMES);
            ReadError::too_much(problem)
        })?;
        let own = if is_shared { 0 } else { own };
        self.read.tally.add(&case);
        let texts = case.bytes() - size_of::<Case>();
        self.grow(size_of::<TestResult>() + texts + own + STORED_CASE)?;
        self.results.push(self.as_results.of(case));
        Ok(())
    }

    fn note(&mut self, note: Note) {
        match self.bounds.notes.checked_sub(1) {
            Some(left) => {
                self.bounds.notes = left;
                self.read.note(note);
            }
            None => self.read.notes_total += 1,
        }
    }

    fn against(&mut self, reason: Reason) {
        self.read.tally.verdict.against(&reason);
        self.note(Note::from(&reason));
    }

    fn room(&self, held: usize) -> Result<(), ReadError> {
        if held < self.bounds.cases {
            return Ok(());
        }
        Err(ReadError::too_much("the upload exceeds the limit on test cases"))
    }
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

/// The files of a form.
///
/// # Errors
/// The body isn't a form, contains something other than files, or has too many files.
async fn form(content_type: &str, body: web::Bytes) -> Result<Vec<Named>, ApiError> {
    let bad = |problem| ApiError::BadValue { name: "body", problem };
    let no_form = |error: multer::Error| bad(format!("invalid multipart/form-data: {error}"));
    let boundary = multer::parse_boundary(content_type).map_err(no_form)?;
    let stream = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    let mut form = multer::Multipart::new(stream, boundary);
    let mut files = Vec::new();
    while let Some(field) = form.next_field().await.map_err(no_form)? {
        let Some(name) = field.file_name().map(str::to_owned) else {
            let field = field.name().unwrap_or_default();
            return Err(bad(format!("'{field}' is not a file; pass metadata as query parameters")));
        };
        if files.len() >= limits::FILES {
            return Err(bad(format!("more than {} files", limits::FILES)));
        }
        files.push((Some(name), field.bytes().await.map_err(no_form)?));
    }
    Ok(files)
}

/// Parses a file. If it isn't a report but came with others, it is left out and its receipt says
/// so.
fn file(
    gathered: Gathered,
    (asked, is_alone): (Option<Format>, bool),
    bounds: &mut Bounds<'_>,
) -> Result<File, ApiError> {
    let beside = gathered.note();
    let Gathered { mut name, body, files, broken, .. } = gathered;
    let body = body.as_ref();
    if let Some(name) = &mut name {
        limits::cut(name, limits::NAME);
    }
    let start = Instant::now();
    let seen = asked.map_or_else(|| Seen::of(body), Seen::Format);
    let format = match &seen {
        Seen::Format(format) => Some(*format),
        Seen::Foreign(_) | Seen::Nothing => None,
    };
    let mut receipt = build::receipt(name.as_deref(), body, format, asked.is_some());
    if files > 1 {
        receipt.files = Some(files as u64);
    }
    if let Some(problem) = broken {
        let text = format!("cannot read the file: {problem}");
        receipt.note(NoteKind::Verdict.as_str(), text.as_str());
        let results = Vec::new();
        return Ok(File { name, seen, read: None, broken: Some(text), results, receipt });
    }
    let Some(format) = format else {
        build::leave_out(&mut receipt, &seen);
        return Ok(File { broken: None, name, seen, read: None, results: Vec::new(), receipt });
    };
    if format.is_held() {
        bounds.hold.draw_blocking(Lane::Work, body.len().saturating_mul(HELD))?;
    } else if format.is_json() && std::str::from_utf8(body).is_err() {
        bounds.hold.draw_blocking(Lane::Work, body.len().saturating_mul(DECODED))?;
    }
    let mut sink = Bounded {
        read: Read::of(format),
        results: Vec::new(),
        as_results: build::Results::default(),
        bounds,
        suites: 0,
        undrawn: 0,
        last: None,
    };
    if let Some(note) = beside {
        sink.note(note);
    }
    let parsed = devmason_reports::read_slice(format, body, &mut sink);
    sink.bounds.hold.draw_blocking(Lane::Work, sink.undrawn)?;
    // If one of several files cannot be parsed at all, the build fails and the other files are stored.
    let parsed = match parsed {
        Err(error) if error.fault == Fault::Broken && !is_alone => {
            let text = format!("cannot parse the file: {error}");
            sink.against(Reason { cause: Cause::Cut, line: error.line, text });
            Ok(())
        }
        parsed => parsed,
    };
    let (read, mut results) = (sink.read, sink.results);
    results.shrink_to_fit();
    if let Err(error) = parsed {
        match error.fault {
            Fault::Broken => {}
            Fault::TooMuch => return Err(ApiError::TooMuch { problem: error.to_string() }),
            Fault::NoRoom => return Err(ApiError::Overloaded),
        }
        let problem = match &name {
            Some(name) => format!("{name}: {error}"),
            None => error.to_string(),
        };
        return Err(ApiError::Report { problem, line: error.line, receipt: Box::new(receipt) });
    }
    build::receive(&mut receipt, &read, start.elapsed());
    Ok(File { name, seen, read: Some(read), broken: None, results, receipt })
}

fn unknown_format(word: &str) -> ApiError {
    let problem = format!("'{word}' is not one of {}", Format::words());
    ApiError::BadValue { name: "report", problem }
}

/// Whether JSON is a report rather than an API document, in which clients may add members with any
/// name. It must start like a report and then have its list of tests, or all members of its first
/// event.
fn is_report_in_json(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Ctrf<'a> {
        #[serde(borrow)]
        results: CtrfResults<'a>,
    }
    #[derive(serde::Deserialize)]
    struct CtrfResults<'a> {
        #[serde(borrow)]
        tests: &'a RawValue,
    }
    match Format::recognize(body) {
        Some(Format::Ctrf) => serde_json::from_slice::<Ctrf<'_>>(body)
            .is_ok_and(|ctrf| ctrf.results.tests.get().starts_with('[')),
        Some(format @ (Format::Go | Format::Libtest)) => is_event(format, body),
        // These formats have a member `results`, as builds do.
        Some(Format::Mochawesome | Format::Ltp) => true,
        Some(format) if format.is_json() => !is_build(body),
        _ => false,
    }
}

/// Whether the first line is an event from go or libtest. A step has `success`; an event doesn't.
fn is_event(format: Format, body: &[u8]) -> bool {
    let first = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let event: Value = serde_json::from_slice(first).unwrap_or_default();
    let has = |name: &str| event.get(name).is_some();
    let word = |name: &str| event[name].as_str().unwrap_or_default();
    let is_one = if format == Format::Go {
        let actions =
            ["start", "run", "output", "pass", "fail", "skip", "build-output", "build-fail"];
        actions.contains(&word("Action")) && (has("Package") || has("ImportPath"))
    } else {
        let events = ["started", "ok", "failed", "ignored", "timeout"];
        ["suite", "test", "bench"].contains(&word("type")) && events.contains(&word("event"))
    };
    is_one && !has("success")
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
            body: call.received().to_vec(),
        };
        let is_kept = call.app.settings.uploads.keeps(call.received().len());
        let upload = is_kept.then(kept);
        TestReport { receipts: self.receipts(), tests: self.take_tests(), upload, document: None }
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
