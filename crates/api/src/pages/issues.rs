//! The pages of known issues.

use actix_web::HttpResponse;
use devmason_domain::{IssueState, Slug};
use devmason_hypermedia::ListLinks;
use devmason_pages::{IssueFields, IssueLine, IssuePage, IssuesPage};
use uuid::Uuid;

use super::{may_triage, pager};
use crate::call::Call;
use crate::documents::issues::{Listed, Seen, find_seen, requested};
use crate::error::ApiError;

fn line(seen: &Seen) -> IssueLine<'_> {
    IssueLine {
        issue: &seen.issue,
        is_in_force: seen.is_in_force(),
        last_seen: seen.last.as_ref().map(|build| &build.key),
    }
}

/// A project's issues, with a form for a new one that the parameters fill in.
pub(crate) async fn list(call: &Call<'_>, slug: &Slug) -> Result<HttpResponse, ApiError> {
    let Listed { project, issues, pages, state } = requested(call, slug).await?;
    let list = ListLinks::numbered(&|page| call.params.of_page(page, None), pages);
    let pager = pager(call, &list, String::new());
    let given = |name: &str| call.params.first(name).unwrap_or_default().to_owned();
    let fields = IssueFields {
        title: given("title"),
        test: given("test"),
        message: given("message"),
        signature: given("signature"),
        branch: given("branch"),
        variant: given("variant"),
        ..IssueFields::default()
    };
    let lines: Vec<IssueLine<'_>> = issues.iter().map(line).collect();
    let shown = state.map_or("", IssueState::as_str);
    let form = (may_triage(call, &project), fields);
    call.shown(&IssuesPage::new(call.site(), &project, (&lines, shown), form, pager))
}

/// An issue.
pub(crate) async fn get(call: &Call<'_>, slug: &Slug, id: &Uuid) -> Result<HttpResponse, ApiError> {
    let (project, seen) = find_seen(call, slug, id).await?;
    let etag = seen.etag(call, &project);
    if let Some(answer) = call.ready(&etag) {
        return Ok(answer);
    }
    let may_write = may_triage(call, &project);
    call.paged(&etag, &IssuePage::new(call.site(), &project, &line(&seen), may_write))
}
