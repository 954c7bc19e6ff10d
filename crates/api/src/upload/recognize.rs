//! Telling report files from documents.

use devmason_reports::Format;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::ApiError;

/// Whether JSON has a top-level member of a build that other tools don't use, such as its steps,
/// tags or client.
pub(super) fn is_build(body: &[u8]) -> bool {
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

pub(super) fn unknown_format(word: &str) -> ApiError {
    let problem = format!("'{word}' is not one of {}", Format::words());
    ApiError::BadValue { name: "report", problem }
}

/// Whether JSON is a report rather than an API document, in which clients may add members with any
/// name. It must start like a report and then have its list of tests, or all members of its first
/// event.
pub(super) fn is_report_in_json(body: &[u8]) -> bool {
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
pub(super) fn is_event(format: Format, body: &[u8]) -> bool {
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
