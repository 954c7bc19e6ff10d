//! HTML pages: each operation that has a page of its own.

pub(crate) mod administration;
pub(crate) mod builds;
pub(crate) mod cases;
pub(crate) mod comparisons;
pub(crate) mod components;
pub(crate) mod docs;
pub(crate) mod home;
pub(crate) mod insight;
pub(crate) mod issues;
pub(crate) mod lists;
pub(crate) mod logs;
pub(crate) mod projects;
pub(crate) mod receipts;
pub(crate) mod revisions;
pub(crate) mod search;
pub(crate) mod session;
pub(crate) mod signatures;
pub(crate) mod tracks;
pub(crate) mod users;

use actix_web::HttpResponse;
use devmason_domain::Project;
use devmason_hypermedia::{ListLinks, Method, Operation, Subject};
use devmason_pages::{Pager, Shown};

use crate::call::Call;
use crate::documents::lists::ListOf;
use crate::error::ApiError;

/// Maximum number of test cases, runs or builds on an HTML page, whatever `per_page` or `limit`
/// says; a JSON document may have more.
pub(super) const LONGEST: u64 = 100;

type Answer<T> = devmason_repository::Result<T>;

/// The page of an operation; `None` if it has none of its own. Then its document is shown as a page.
pub(crate) async fn find(
    call: &Call<'_>,
    operation: Operation<'_>,
) -> Result<Option<HttpResponse>, ApiError> {
    let page = match operation {
        Operation::ListProjects => home::list(call).await,
        Operation::ReadProject(project) => projects::get(call, project).await,
        Operation::ListBuilds(project) => {
            lists::builds(call, ListOf::project(call, project).await?).await
        }
        Operation::ListTagged(project, tags) => {
            lists::builds(call, ListOf::tagged(call, project, tags).await?).await
        }
        Operation::ListUserBuilds(username) => {
            lists::builds(call, ListOf::user(call, username).await?).await
        }
        Operation::ListTags(project) => lists::tags(call, project).await,
        Operation::ReadBuild(project, build) => builds::get(call, project, build).await,
        Operation::ReadInsight(project, build) => insight::get(call, project, build).await,
        Operation::ReadRevision(project, revision) => revisions::get(call, project, revision).await,
        Operation::ReadSignature(project, signature) => {
            signatures::get(call, project, signature).await
        }
        Operation::ListTracks(project) => tracks::list(call, project).await,
        Operation::ReadTrack(project, track) => tracks::get(call, project, track).await,
        Operation::ListTrackTests(project, track) => tracks::tests(call, project, track).await,
        Operation::ReadTrackGrid(project, track) => tracks::grid(call, project, track).await,
        Operation::ListIssues(project) => issues::list(call, project).await,
        Operation::ReadIssue(project, issue) => issues::get(call, project, issue).await,
        Operation::ListTests(project, build) => cases::list(call, project, build).await,
        Operation::ReadTestHistory(project, test) => cases::history(call, project, test).await,
        Operation::ReadStepLog(project, build, step) => {
            if call.params.first("follow").is_some() {
                return Ok(None);
            }
            logs::get(call, project, build, *step).await
        }
        Operation::SearchLogs(project, build) => logs::search(call, project, build).await,
        Operation::ReadReceipt(project, build) => receipts::get(call, project, build).await,
        Operation::Reparse(project, build) => receipts::reparse(call, project, build).await,
        Operation::ListUsers => users::list(call).await,
        Operation::ReadUser(username) => users::get(call, username).await,
        Operation::ListComponentObjects => components::list(call).await,
        Operation::ListComponentsOfType(id) => components::of_type(call, id).await,
        Operation::ListBuildsOfComponent(id) => components::builds(call, id).await,
        Operation::ReadSession => session::get(call),
        Operation::ReadTestCase(project, build, case) => {
            cases::one(call, project, build, *case).await
        }
        Operation::CompareBuilds(project, pair) => comparisons::get(call, project, pair).await,
        Operation::FindAnything => search::get(call).await,
        Operation::ReadAdministration => administration::get(call).await,
        Operation::PutProject(_)
        | Operation::DeleteProject(_)
        | Operation::ReadProjectBadge(_)
        | Operation::ReadProjectFeed(_)
        | Operation::PostBuild(_)
        | Operation::FindLatestBuild(_)
        | Operation::PutBuild(..)
        | Operation::DeleteBuild(..)
        | Operation::ReadProgress(..)
        | Operation::PostStep(..)
        | Operation::CloseBuild(..)
        | Operation::ReadStep(..)
        | Operation::EndStep(..)
        | Operation::AppendToLog(..)
        | Operation::ReadStepOutput(..)
        | Operation::ReadStepErrout(..)
        | Operation::WatchBuild(..)
        | Operation::ChangeTrack(..)
        | Operation::CreateIssue(_)
        | Operation::ChangeIssue(..)
        | Operation::DeleteIssue(..)
        | Operation::FindLatestTagged(..)
        | Operation::ReadTaggedBadge(..)
        | Operation::ReadTaggedFeed(..)
        | Operation::PutUser(_)
        | Operation::DeleteUser(_)
        | Operation::FindLatestByUser(_)
        | Operation::ReadUserBadge(_)
        | Operation::ReadUserFeed(_)
        | Operation::ListComponentTypeObjects
        | Operation::CreateComponentType
        | Operation::ReadComponentTypeObject(_)
        | Operation::ChangeComponentType(_)
        | Operation::DeleteComponentType(_)
        | Operation::CreateComponent
        | Operation::ReadComponentObject(_)
        | Operation::ChangeComponent(_)
        | Operation::DeleteComponent(_)
        | Operation::ListProjectObjects
        | Operation::ReadProjectObject(_)
        | Operation::ListBuildObjects
        | Operation::ReadBuildObject(_)
        | Operation::ListStepObjects
        | Operation::ReadStepObject(_)
        | Operation::ListTestObjects
        | Operation::ReadTestObject(_)
        | Operation::ListIssueObjects
        | Operation::ReadIssueObject(_)
        | Operation::ListTrackObjects
        | Operation::ReadTrackObject(_)
        | Operation::ListTagObjects
        | Operation::ReadTagObject(_)
        | Operation::ListUserObjects
        | Operation::ReadUserObject(_)
        | Operation::TakeSubmission
        | Operation::AnnounceSubmission
        | Operation::FindSubmission
        | Operation::PostBatch(_)
        | Operation::ListTopics
        | Operation::CreateTopic
        | Operation::ReadTopic(..)
        | Operation::ListTopicComponents(..)
        | Operation::ListRemoteCis
        | Operation::CreateRemoteCi
        | Operation::ReadRemoteCi(..)
        | Operation::ListJobs
        | Operation::CreateJob
        | Operation::ReadJob(..)
        | Operation::ChangeJob(..)
        | Operation::DeleteJob(..)
        | Operation::ListJobStates(..)
        | Operation::ListJobFiles(..)
        | Operation::ListJobResults(..)
        | Operation::AddJobNumber(..)
        | Operation::RemoveJobNumber(..)
        | Operation::AddJobState
        | Operation::ReadJobState(..)
        | Operation::AddJobFile
        | Operation::ReadJobFile(..)
        | Operation::ReadJobFileContent(..)
        | Operation::SubmitSquad(..)
        | Operation::AddResult
        | Operation::AddProjectResult(..)
        | Operation::AddResultGroup
        | Operation::AddProjectResultGroup(..)
        | Operation::BeginTestomatRun
        | Operation::ChangeTestomatRun(..)
        | Operation::AddTestomatTests(..)
        | Operation::AnnounceResults
        | Operation::PutResults(..)
        | Operation::CallPony
        | Operation::UploadPony
        | Operation::ReadAgentInfo
        | Operation::ReadAgentSettings(..)
        | Operation::FindLaunches(..)
        | Operation::StartLaunch(..)
        | Operation::MergeLaunches(..)
        | Operation::ReadLaunch(..)
        | Operation::FinishLaunch(..)
        | Operation::StopLaunch(..)
        | Operation::UpdateLaunch(..)
        | Operation::StartItem(..)
        | Operation::StartItemWithin(..)
        | Operation::ReadItem(..)
        | Operation::FinishItem(..)
        | Operation::UpdateItem(..)
        | Operation::AddLogs(..)
        | Operation::AddLog(..)
        | Operation::ChangeSession
        | Operation::ReadAsset(_)
        | Operation::ReadRobots
        | Operation::ReadFavicon
        | Operation::ReadHealth
        | Operation::ReadReadiness
        | Operation::ReadMetrics
        | Operation::ReadDescription
        | Operation::ReadDocs
        | Operation::ReadReference
        | Operation::ReadDocsPage(_)
        | Operation::ReadDocsSubpage(..) => return Ok(None),
    };
    page.map(Some)
}

/// Whether the viewer signed in with a form and may write a project's issues.
pub(super) fn may_triage(call: &Call<'_>, project: &Project) -> bool {
    let methods = call.view().methods(Subject::Issues(project));
    call.session.is_some() && methods.contains(&Method::Post)
}

/// What a page of an insight depends on besides the insight.
fn shown<'a>(call: &'a Call<'_>, project: &Project) -> Shown<'a> {
    Shown { may_triage: may_triage(call, project), gate: call.params.first("gate") }
}

/// The links of a range of a list.
pub(crate) fn pager(call: &Call<'_>, list: &ListLinks, text: String) -> Pager {
    let path = call.base.location(call.resource);
    let to = |query: &String| format!("{path}{query}");
    Pager {
        first: list.previous.as_ref().map(|_| to(&list.first)),
        previous: list.previous.as_ref().map(to),
        next: list.next.as_ref().map(to),
        last: list.last.as_ref().filter(|_| list.next.is_some()).map(to),
        text,
    }
}
