//! The pages of logs.

use actix_web::HttpResponse;
use devmason_domain::{Build, BuildKey, LogStream, Project, Slug, Step};
use devmason_hypermedia::document::{LogMatch, LogMatchesDocument};
use devmason_pages::{LogPage, LogSearchPage, Searched};

use crate::call::Call;
use crate::documents::builds::find as find_build;
use crate::documents::log_search::{self, first_error};
use crate::documents::logs::{self, Room, Wanted, window};
use crate::documents::steps::{find, place};
use crate::error::ApiError;

/// How much a page shows of a log.
const PAGE: Room = Room { lines: 2000, bytes: 96 << 10 };

/// Lines before the first error of a failed step, which its page shows first.
const BEFORE: u64 = 20;

pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
    nth: u32,
) -> Result<HttpResponse, ApiError> {
    let stream = logs::stream(call)?;
    let (project, build, step) = find(call, slug, key, nth).await?;
    page(call, (&project, &build, &step), nth, stream).await
}

/// A page of a log, or of one of its streams.
pub(crate) async fn page(
    call: &Call<'_>,
    (project, build, step): (&Project, &Build, &Step),
    nth: u32,
    stream: Option<LogStream>,
) -> Result<HttpResponse, ApiError> {
    let asked = match logs::lines(call)? {
        (_, Some(last)) => Some(Wanted::To(last)),
        (Some(first), None) => Some(Wanted::From(first)),
        (None, None) => None,
    };
    let (of, shown) = (build.clone(), step.clone());
    let (window, error) = call
        .ask(move |repository| {
            let is_failed = shown.end().is_some_and(|(success, _)| !success);
            let error = match stream {
                None if is_failed => first_error(repository, &of, nth)?,
                _ => None,
            };
            let wanted = asked.unwrap_or_else(|| match error {
                Some(line) => Wanted::From(line.saturating_sub(BEFORE).max(1)),
                None => Wanted::Tail,
            });
            let place = place(&of, nth);
            Ok((window(repository, place, &shown, stream, wanted, PAGE)?, error))
        })
        .await?;
    let stream = stream.map(LogStream::as_str);
    call.shown(&LogPage::new(call.site(), project, build, (nth, step), &window, (stream, error)))
}

/// What was found in the logs of a build; the form where no text is given.
pub(crate) async fn search(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<HttpResponse, ApiError> {
    let (project, build) = find_build(call, slug, key).await?;
    let given = |name| call.params.first(name).filter(|text| !text.is_empty());
    let (text, is_regex) = match (given("text"), given("regex")) {
        (None, Some(regex)) => (regex, true),
        (text, _) => (text.unwrap_or_default(), false),
    };
    let mut searched = Searched {
        text,
        is_regex,
        step: given("step").map(str::to_owned),
        next: None,
        problem: None,
    };
    let mut matches: Vec<LogMatch> = Vec::new();
    match log_search::search(call) {
        Ok(None) => searched.problem = Some("Type the text to search for.".to_owned()),
        Ok(Some(search)) => {
            let found: LogMatchesDocument = log_search::run(call, &project, &build, search).await?;
            searched.next = found
                .links
                .iter()
                .find(|link| link.rel == "next")
                .map(|link| format!("{}&format=html", link.href));
            matches = found.matches;
        }
        Err(problem) => searched.problem = Some(problem.parts().1),
    }
    call.shown(&LogSearchPage::new(call.site(), &project, &build, &matches, searched))
}
