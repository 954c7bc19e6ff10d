//! The files of an upload as a build or as a step.

use actix_web::http::header;
use devmason_domain::{
    ClientRecord, Digest, JsonObject, Outcome, Report, Step, Tag, TagSet, Timestamp,
};
use devmason_reports::{Read, build};
use devmason_repository::{RawBody, RawUpload, TestReport, WaitingCases};
use serde_json::Value;

use super::file::File;
use super::receipt::written;
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;

/// The report files of a request.
pub(crate) struct Upload {
    pub(super) files: Vec<File>,
    pub(super) received: Timestamp,
}

impl Upload {
    /// The files that are reports.
    fn reads(&self) -> impl Iterator<Item = (Option<&str>, &Read)> {
        self.files.iter().filter_map(|file| Some((file.name.as_deref(), file.read.as_ref()?)))
    }

    /// Removes and returns the test cases of all files.
    pub(super) fn take_tests(&mut self) -> WaitingCases {
        let mut all = WaitingCases::default();
        let files = self.files.iter_mut().map(|file| std::mem::take(&mut file.results));
        files.for_each(|results| all.append(results));
        all
    }

    /// The receipts of all files.
    pub(super) fn receipts(&self) -> Vec<String> {
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
        TestReport { receipts: self.receipts(), tests, upload, ..TestReport::default() }
    }

    /// A fingerprint of the body and the request's parameters, to recognize a repeated PUT.
    pub(crate) fn digest(call: &Call<'_>) -> Digest {
        Digest::of_joined([call.request.query_string().as_bytes(), b"\0", call.received()])
    }

    /// One step per file.
    pub(super) fn steps(&self, params: &Params) -> Result<Vec<Step>, ApiError> {
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
            whole.bad_cases =
                whole.bad_cases.zip(step.bad_cases).map(|(one, other)| one.saturating_add(other));
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
