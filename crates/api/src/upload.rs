//! Report files: what came in a request's body, made into a build or a step, with a receipt.

use std::time::Instant;

use actix_web::http::header;
use actix_web::web;
use devmason_domain::{
    ClientRecord, JsonObject, Outcome, Report, Step, Tag, TagSet, TestDetails, TestResult,
    TestStatus, TestSummary, Timestamp,
};
use devmason_hypermedia::document::ComponentRef;
use devmason_reports::{Case, Format, Read};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::call::Call;
use crate::error::ApiError;

/// How many notes a receipt lists; how many there are it says all the same.
const NOTES: usize = 1_000;

/// Media types that report files come as. What they are is seen from the bytes.
const MEDIA_TYPES: [&str; 11] = [
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
];

/// A report file that came in a request.
pub(crate) struct Upload {
    read: Read,
    /// What it was read as: JSON text.
    pub(crate) receipt: String,
    received: Timestamp,
}

/// The report file in the body, or nothing where the body is a document of the API.
///
/// # Errors
/// A media type that is neither, a file that is no report or a broken one.
pub(crate) async fn read(call: &Call<'_>) -> Result<Option<Upload>, ApiError> {
    let asked = match call.params.first("report") {
        Some(word) => Some(Format::from_word(word).ok_or_else(|| unknown_format(word))?),
        None => None,
    };
    let content_type = call.header(header::CONTENT_TYPE).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = media_type == "application/json";
    if asked.is_none() && (call.body.is_empty() || (is_json && !is_report_in_json(call.body))) {
        return Ok(None);
    }
    if !is_json && !MEDIA_TYPES.contains(&media_type.as_str()) {
        return Err(ApiError::UnsupportedType);
    }
    let start = call.body.get(..8192).unwrap_or(call.body);
    let format = asked.or_else(|| Format::recognize(start)).ok_or(ApiError::UnsupportedType)?;
    let (body, started) = (call.body.clone(), Instant::now());
    let read = web::block(move || Read::from_bytes(&body, Some(format)))
        .await
        .map_err(|_| ApiError::Interrupted)?;
    let mut receipt = json!({
        "format": format.as_str(),
        "recognized": if asked.is_some() { "as the request says" } else { "from the bytes" },
        "bytes": call.body.len(),
        "digest": format!("sha256:{}", hex(&Sha256::digest(call.body))),
    });
    let read = match read {
        Ok(read) => read,
        Err(error) => {
            receipt["line"] = json!(error.line);
            receipt["field"] = json!("body");
            return Err(ApiError::Report {
                problem: error.to_string(),
                receipt: Box::new(receipt),
            });
        }
    };
    let mut summary = TestSummary::default();
    summary.add(&results(&read));
    receipt["seconds"] = json!(started.elapsed().as_secs_f64());
    receipt["suites"] = json!(read.suites.len());
    receipt["tests"] = json!({
        "total": summary.total, "passed": summary.passed, "flaky": summary.flaky,
        "skipped": summary.skipped, "failed": summary.failed, "error": summary.error,
    });
    let note = |note: &devmason_reports::Note| json!({"line": note.line, "kind": note.kind.as_str(), "text": note.text});
    receipt["notes"] = read.notes.iter().take(NOTES).map(note).collect();
    receipt["notes_total"] = json!(read.notes.len());
    Ok(Some(Upload { read, receipt: receipt.to_string(), received: Timestamp::now() }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unknown_format(word: &str) -> ApiError {
    let words: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
    let problem = format!("'{word}' is none of {}", words.join(", "));
    ApiError::BadValue { name: "report", problem }
}

/// Whether JSON is a report, not a document of the API. A build may say anything of a tool, so what looks
/// like CTRF must also have an object where a build has its steps.
fn is_report_in_json(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Probe<'a> {
        #[serde(borrow)]
        results: &'a RawValue,
    }
    match Format::recognize(body.get(..8192).unwrap_or(body)) {
        Some(Format::Ctrf) => serde_json::from_slice::<Probe<'_>>(body)
            .is_ok_and(|probe| probe.results.get().starts_with('{')),
        Some(Format::Go | Format::Libtest) => true,
        _ => false,
    }
}

fn results(read: &Read) -> Vec<TestResult> {
    let result = |case: &Case| TestResult {
        suite: case.group(),
        name: case.name.clone(),
        status: case.outcome(),
        micros: case.micros,
        failure: case.failure.clone(),
        details: TestDetails {
            stdout: case.stdout.clone(),
            stderr: case.stderr.clone(),
            properties: case.properties.clone(),
            retries: case.retries,
            file: case.file.clone(),
            line: case.line,
        },
    };
    read.cases.iter().map(result).collect()
}

impl Upload {
    /// The test cases in it.
    pub(crate) fn tests(&self) -> Vec<TestResult> {
        results(&self.read)
    }

    /// The fingerprint by which a repeated PUT is known: of the file, and of what the request says of it.
    pub(crate) fn digest(call: &Call<'_>) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(call.request.query_string());
        hash.update([0]);
        hash.update(call.body);
        hash.finalize().into()
    }

    fn success(&self) -> bool {
        !self.read.cases.iter().any(|case| TestStatus::is_bad(case.outcome()))
    }

    /// When it began and ended, by the best that the request and the file say.
    fn times(&self, call: &Call<'_>) -> Result<(Timestamp, Timestamp), ApiError> {
        let asked = match call.params.first("started") {
            Some(text) => Some(text.parse().map_err(|invalid: devmason_domain::Invalid| {
                ApiError::BadValue { name: "started", problem: invalid.0 }
            })?),
            None => None,
        };
        let suites = self.read.suites.iter().filter_map(|suite| suite.started);
        let said = suites.chain(self.read.cases.iter().filter_map(|case| case.started));
        let Some(started) = asked.or(said.min()) else { return Ok((self.received, self.received)) };
        let of_suites = self.read.suites.iter().filter_map(|suite| suite.micros).max();
        let of_cases = self.read.cases.iter().filter_map(|case| case.micros).sum();
        let micros = i64::try_from(of_suites.unwrap_or(of_cases)).unwrap_or(0);
        let finished = started
            .micros()
            .checked_add(micros)
            .and_then(|micros| Timestamp::from_parts(micros, started.offset_minutes()));
        Ok((started, finished.unwrap_or(started)))
    }

    /// The file as a step: its name, what its suites printed, whether all of it passed.
    pub(crate) fn step(&self, call: &Call<'_>) -> Result<Step, ApiError> {
        let (started, finished) = self.times(call)?;
        let suites = &self.read.suites;
        let named = || {
            let firsts = suites.iter().filter_map(|suite| suite.path.first());
            firsts.into_iter().find(|name| !name.is_empty())
        };
        let name = call.params.first("name").or(named().map(String::as_str));
        let name = name.unwrap_or(self.read.format.as_str()).replace('\0', "\u{fffd}");
        let joined =
            |of: fn(&devmason_reports::Suite) -> &str| suites.iter().map(of).collect::<String>();
        let report = serde_json::value::to_raw_value(self.read.format.as_str())
            .map_err(|error| ApiError::Unwritable(error.to_string()))?;
        Ok(Step {
            name: name.parse().map_err(|invalid: devmason_domain::Invalid| ApiError::BadValue {
                name: "name",
                problem: invalid.0,
            })?,
            success: self.success(),
            started,
            finished,
            output: joined(|suite| &suite.stdout),
            errout: joined(|suite| &suite.stderr),
            extras: JsonObject::from_members(&[("report".to_owned(), report)])
                .map_err(|invalid| ApiError::Unwritable(invalid.0))?,
        })
    }

    /// The file as a build of one step, with what the request's parameters say of it.
    pub(crate) fn report(
        &self,
        call: &Call<'_>,
        digest: Option<[u8; 32]>,
    ) -> Result<Report, ApiError> {
        let bad = |name: &'static str| {
            move |invalid: devmason_domain::Invalid| ApiError::BadValue { name, problem: invalid.0 }
        };
        let step = self.step(call)?;
        let tags: Vec<Tag> =
            call.params.all("tag").map(str::parse).collect::<Result<_, _>>().map_err(bad("tag"))?;
        Ok(Report {
            started: step.started,
            received: self.received,
            outcome: Outcome::Finished { success: step.success, finished: step.finished },
            tags: TagSet::new(tags).map_err(bad("tag"))?,
            client: self.client(call)?,
            steps: vec![step],
            digest,
        })
    }

    /// The client record: `host`, `arch` and `user`, any `client.x`, and the host that the file names.
    fn client(&self, call: &Call<'_>) -> Result<ClientRecord, ApiError> {
        let mut members: Vec<(String, String)> = Vec::new();
        let named = ["host", "arch", "user"].into_iter();
        let given =
            named.filter_map(|name| Some((name.to_owned(), call.params.first(name)?.to_owned())));
        let open = call.params.with_prefix("client.");
        for (name, value) in given.chain(open) {
            if members.iter().any(|(known, _)| *known == name) {
                let problem = format!("'{name}' is given twice");
                return Err(ApiError::BadValue { name: "client", problem });
            }
            members.push((name, value));
        }
        if !members.iter().any(|(name, _)| name == "host")
            && let Some(host) = self.read.suites.iter().find_map(|suite| suite.host.clone())
        {
            members.push(("host".to_owned(), host));
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

/// The components that the request's parameters name: by id, or as `type:name`.
pub(crate) fn components(call: &Call<'_>) -> Result<Vec<ComponentRef>, ApiError> {
    let bad = || ApiError::BadValue {
        name: "component",
        problem: "a component is named by its id or by 'type:name'".to_owned(),
    };
    let one = |text: &str| match uuid::Uuid::try_parse(text) {
        Ok(id) => Ok(ComponentRef::Id(id)),
        Err(_) => {
            let (component_type, name) = text.split_once(':').ok_or_else(bad)?;
            Ok(ComponentRef::Name {
                component_type: component_type.parse().map_err(|_| bad())?,
                name: name.parse().map_err(|_| bad())?,
            })
        }
    };
    call.params.all("component").map(one).collect()
}
