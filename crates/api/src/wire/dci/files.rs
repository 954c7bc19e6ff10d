//! Files of jobs.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName};
use devmason_domain::Timestamp;
use devmason_wire::dci::{CASES, Event, File, Sent, count};
use md5::{Digest as _, Md5};

use super::jobs::part;
use super::{Known, add, find, one};
use crate::call::Call;
use crate::error::ApiError;
use crate::wire;

const NO_FILE: ApiError = ApiError::NotFound("file not found");

/// Takes a file: its name, type and job are in headers.
pub(crate) async fn post(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let said = |name: &'static str| {
        let value = call.request.headers().get(HeaderName::from_static(name))?.as_bytes();
        // Python sends what is no ASCII as Latin-1.
        let text = match std::str::from_utf8(value) {
            Ok(text) => text.to_owned(),
            Err(_) => value.iter().copied().map(char::from).collect(),
        };
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let missing = |name| ApiError::BadValue { name, problem: "the header is missing".to_owned() };
    let name = said("dci-name").ok_or_else(|| missing("DCI-NAME"))?;
    let (state, job) = (said("dci-jobstate-id"), said("dci-job-id"));
    let state = match &state {
        Some(id) => Some(part(id).ok_or_else(no_state)?),
        None => None,
    };
    let job = match (job.as_deref(), state) {
        (Some(job), _) => job,
        (None, Some((job, _))) => job,
        (None, None) => return Err(missing("DCI-JOB-ID")),
    };
    let of = find(call, job).await?;
    wire::may_continue(call, &of.running.project, &of.running.build).await?;
    let state = match state {
        Some((job, nth)) if job == of.id() => Some(nth as usize),
        Some(_) => return Err(no_state()),
        None => None,
    };
    if state.is_some_and(|nth| !of.job.states.iter().any(|state| state.nth == nth)) {
        return Err(no_state());
    }
    let mime = said("dci-mime").or_else(|| call.header(header::CONTENT_TYPE).map(str::to_owned));
    let mime = mime.unwrap_or_else(|| "text/plain".to_owned());
    let body = call.body().await?.clone();
    if let Some(given) = said("dci-md5") {
        let own: String = Md5::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
        if !own.eq_ignore_ascii_case(&given) {
            let problem = format!("the body has the digest {own}");
            return Err(ApiError::BadValue { name: "DCI-MD5", problem });
        }
    }
    let turn = call.body.turn(call.app, body.len()).await?;
    let read = move || {
        let _turn = turn;
        let sent = Sent::new(&name, &mime, state, &body);
        let cases = if sent.is_report() { count(&body) } else { 0 };
        Ok((sent, cases))
    };
    let (sent, cases) = call.off_the_workers(read).await?;
    if cases > CASES {
        let problem = format!("a job may have at most {CASES} test cases");
        return Err(ApiError::TooMuch { problem });
    }
    let at = Timestamp::now().into();
    let events = add(call, &of.running, &Event::File(sent.clone(), at), false).await?;
    let file = File { nth: events.saturating_sub(1) as usize, sent, at };
    let document = of.job.file_document(&of.id(), &file, of.received());
    Ok(one(StatusCode::CREATED, "file", document))
}

fn no_state() -> ApiError {
    let problem = "the job has no such state".to_owned();
    ApiError::BadValue { name: "DCI-JOBSTATE-ID", problem }
}

/// The file with this id, and its job.
async fn file(call: &Call<'_>, id: &str) -> Result<(Known, File), ApiError> {
    let (job, nth) = part(id).ok_or(NO_FILE)?;
    let of = find(call, job).await?;
    let found = of.job.files.iter().find(|file| file.nth == nth as usize).cloned();
    found.map(|file| (of, file)).ok_or(NO_FILE)
}

pub(crate) async fn get(call: &Call<'_>, id: &str) -> Result<HttpResponse, ApiError> {
    let (of, file) = file(call, id).await?;
    Ok(one(StatusCode::OK, "file", of.job.file_document(&of.id(), &file, of.received())))
}

/// What a file says. Never as a page: a browser must not run what somebody sent.
pub(crate) async fn content(call: &Call<'_>, id: &str) -> Result<HttpResponse, ApiError> {
    let (_, file) = file(call, id).await?;
    let text = file.sent.text.ok_or(ApiError::NotFound("only texts are kept of files"))?;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(text))
}
