//! Known issues of a project.

use std::collections::HashMap;
use std::fmt::Display;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use devmason_domain::{
    Issue, IssueState, PageRequest, Pages, Project, Slug, Timestamp, fresh_uuid,
};
use devmason_hypermedia::document::{
    IncomingIssue, IssueDocument, IssueListDocument, ListPage, PlaceDocument,
};
use devmason_hypermedia::{ListLinks, Resource};
use devmason_repository::{Filed, NewIssue, Refiled, Tracked, Updated};
use uuid::Uuid;

use crate::call::Call;
use crate::error::ApiError;
use crate::insight::last_seen;
use crate::respond::no_content;

const PER_PAGE: u64 = 25;
const NO_ISSUE: ApiError = ApiError::NotFound("issue not found");
const TOO_MANY: ApiError = ApiError::Conflict("the project already has 1000 open issues");

/// An issue as it is at this moment.
pub(crate) struct Seen {
    pub(crate) issue: Issue,
    /// The newest build that it was seen in.
    pub(crate) last: Option<Tracked>,
    now: Timestamp,
}

impl Seen {
    /// The issue's state, as its ETags tell it.
    fn state(&self, project: &Project) -> [String; 6] {
        let last = self.last.as_ref().map(|build| build.id.to_string());
        [
            self.issue.id.to_string(),
            self.issue.version.to_string(),
            self.issue.details.is_in_force(self.now).to_string(),
            // A deleted user is no creator.
            self.issue.creator.is_some().to_string(),
            last.unwrap_or_default(),
            project.version.to_string(),
        ]
    }

    pub(crate) fn etag(&self, call: &Call<'_>, project: &Project) -> String {
        let state = self.state(project);
        call.etag(&state.each_ref().map(|part| part as &dyn Display))
    }

    pub(crate) fn is_in_force(&self) -> bool {
        self.issue.details.is_in_force(self.now)
    }

    fn document(&self, call: &Call<'_>, project: &Project) -> IssueDocument<'_> {
        let place = |build: &Tracked| PlaceDocument {
            build: build.key.to_string(),
            started: build.started.to_rfc2822(),
        };
        let links = call.view().issue_links(project, &self.issue);
        IssueDocument::new(&self.issue, self.now, self.last.as_ref().map(place), links)
    }
}

/// Looks where issues were seen last.
async fn look(
    call: &Call<'_>,
    project: &Project,
    issues: Vec<Issue>,
) -> Result<Vec<Seen>, ApiError> {
    let of = project.id;
    let (issues, mut seen): (Vec<Issue>, HashMap<Uuid, Tracked>) = call
        .ask(move |repository| {
            let seen = last_seen(repository, of, &issues)?;
            Ok((issues, seen))
        })
        .await?;
    let now = Timestamp::now();
    let seen = issues.into_iter().map(|issue| Seen { last: seen.remove(&issue.id), issue, now });
    Ok(seen.collect())
}

async fn look_at(call: &Call<'_>, project: &Project, issue: Issue) -> Result<Seen, ApiError> {
    look(call, project, vec![issue]).await?.pop().ok_or(NO_ISSUE)
}

/// An issue that was just stored. Where it was seen last may fail to be found, but it is stored.
async fn stored(call: &Call<'_>, project: &Project, issue: Issue) -> Seen {
    let found = look(call, project, vec![issue.clone()]).await.ok();
    let unseen = || Seen { issue, last: None, now: Timestamp::now() };
    found.and_then(|mut seen| seen.pop()).unwrap_or_else(unseen)
}

/// The issue at this path and its project; fails if either doesn't exist.
pub(crate) async fn find(
    call: &Call<'_>,
    slug: &Slug,
    id: &Uuid,
) -> Result<(Project, Issue), ApiError> {
    let project = call.project(slug).await?;
    let (of, id) = (project.id, *id);
    let found = call.ask(move |repository| repository.issue_find(of, id)).await?;
    Ok((project, found.ok_or(NO_ISSUE)?))
}

/// The issue at this path as it is now, and its project.
pub(crate) async fn find_seen(
    call: &Call<'_>,
    slug: &Slug,
    id: &Uuid,
) -> Result<(Project, Seen), ApiError> {
    let (project, issue) = find(call, slug, id).await?;
    let seen = look_at(call, &project, issue).await?;
    Ok((project, seen))
}

/// A page of a project's issues.
pub(crate) struct Listed {
    pub(crate) project: Project,
    pub(crate) issues: Vec<Seen>,
    pub(crate) pages: Pages,
    pub(crate) state: Option<IssueState>,
}

/// The requested page of a project's issues.
pub(crate) async fn requested(call: &Call<'_>, slug: &Slug) -> Result<Listed, ApiError> {
    let bad = |invalid: devmason_domain::Invalid| ApiError::BadValue {
        name: "state",
        problem: invalid.0,
    };
    let asked = call.params.first("state").filter(|text| !text.is_empty());
    let state: Option<IssueState> = asked.map(str::parse).transpose().map_err(bad)?;
    let page: PageRequest = call.params.page(PER_PAGE)?;
    let project = call.project(slug).await?;
    let of = project.id;
    let (count, issues) = call
        .ask(move |repository| {
            let count = repository.issue_count(of, state)?;
            Ok((count, repository.issue_list(of, state, page)?))
        })
        .await?;
    let pages = page.of(count);
    if !pages.exists() {
        return Err(ApiError::NotFound("page not found"));
    }
    let issues = look(call, &project, issues).await?;
    Ok(Listed { project, issues, pages, state })
}

pub(crate) async fn list(call: &Call<'_>, slug: &Slug) -> Result<HttpResponse, ApiError> {
    let Listed { project, issues, pages, .. } = requested(call, slug).await?;
    let links = ListLinks::numbered(&|page| call.params.of_page(page, None), pages);
    let page = ListPage::new(pages, true, call.view().issue_list_links(&project, &links));
    let issues = issues.iter().map(|seen| seen.document(call, &project)).collect();
    call.listed(&IssueListDocument { issues, page })
}

pub(crate) async fn get(call: &Call<'_>, slug: &Slug, id: &Uuid) -> Result<HttpResponse, ApiError> {
    let (project, seen) = find_seen(call, slug, id).await?;
    let etag = seen.etag(call, &project);
    if let Some(answer) = call.ready(&etag) {
        return Ok(answer);
    }
    call.ok(&etag, &seen.document(call, &project))
}

pub(crate) async fn post(call: &Call<'_>, slug: &Slug) -> Result<HttpResponse, ApiError> {
    let project = call.project(slug).await?;
    call.app.settings.policy.create_issue(call.viewer(), &project)?;
    let incoming: IncomingIssue = call.document().await?;
    let id = fresh_uuid();
    let path = Resource::Issue(slug.clone(), id).path();
    let claim =
        call.claim(&format!("issues of {}", project.id.0), StatusCode::CREATED, path).await?;
    let new = NewIssue {
        id,
        project: project.id,
        details: incoming.into_details(Timestamp::now())?,
        creator: call.caller.actor()?,
        claim,
    };
    let issue = match call.ask(move |repository| repository.issue_create(&new)).await? {
        Filed::New(issue) => *issue,
        Filed::Claimed(claimed) => {
            let (_, location) = crate::call::replayed(claimed)?;
            let id = location.rsplit('/').next().unwrap_or_default();
            find(call, slug, &Uuid::try_parse(id).map_err(|_| NO_ISSUE)?).await?.1
        }
        Filed::TooMany => return Err(TOO_MANY),
        Filed::NoProject => return Err(ApiError::NotFound("project not found")),
        Filed::UsernameTaken => return Err(ApiError::Raced),
    };
    let resource = Resource::Issue(slug.clone(), issue.id);
    let call = Call { resource: &resource, ..*call };
    let seen = stored(&call, &project, issue).await;
    call.created(&seen.etag(&call, &project), &seen.document(&call, &project))
}

/// Checks `If-Match` against an issue; returns the version that it must still have.
async fn precondition(
    call: &Call<'_>,
    project: &Project,
    issue: &Issue,
) -> Result<Option<i64>, ApiError> {
    if !call.has_preconditions() {
        return Ok(None);
    }
    let seen = look_at(call, project, issue.clone()).await?;
    let state = seen.state(project);
    call.seen(issue.version, &state.each_ref().map(|part| part as &dyn Display))
}

pub(crate) async fn put(call: &Call<'_>, slug: &Slug, id: &Uuid) -> Result<HttpResponse, ApiError> {
    let (project, issue) = find(call, slug, id).await?;
    call.app.settings.policy.change_issue(call.viewer(), &project)?;
    let incoming: IncomingIssue = call.document().await?;
    call.expects_something()?;
    let is_conditional = precondition(call, &project, &issue).await?.is_some();
    let (of, id, version) = (project.id, issue.id, issue.version);
    let details = incoming.change(issue.details, Timestamp::now())?;
    let update =
        call.ask(move |repository| repository.issue_update(of, id, &details, version)).await?;
    match update {
        Refiled::Done(issue) => {
            let seen = stored(call, &project, *issue).await;
            call.ok(&seen.etag(call, &project), &seen.document(call, &project))
        }
        Refiled::TooMany => Err(TOO_MANY),
        Refiled::Stale if is_conditional => Err(ApiError::PreconditionFailed),
        // Members that are absent stay as another request has set them meanwhile.
        Refiled::Stale => Err(ApiError::Raced),
        Refiled::Gone => Err(NO_ISSUE),
    }
}

pub(crate) async fn delete(
    call: &Call<'_>,
    slug: &Slug,
    id: &Uuid,
) -> Result<HttpResponse, ApiError> {
    let (project, issue) = find(call, slug, id).await?;
    call.app.settings.policy.change_issue(call.viewer(), &project)?;
    let seen = precondition(call, &project, &issue).await?;
    let (of, id) = (project.id, issue.id);
    match call.ask(move |repository| repository.issue_delete(of, id, seen)).await? {
        Updated::Done(()) => Ok(no_content(None)),
        Updated::Stale => Err(ApiError::PreconditionFailed),
        Updated::Gone => Err(NO_ISSUE),
    }
}
