//! The table of handlers: one for each operation of the map, as a page if the client prefers HTML.

use actix_web::HttpResponse;
use devmason_hypermedia::{BuildsOf, Collection, Operation, Stream};

use crate::call::Call;
use crate::documents::lists::ListOf;
use crate::documents::{
    administration, builds, cases, comparisons, feeds, insight, issues, lists, log_search, logs,
    outputs, progress, projects, receipts, revisions, search, service, signatures, steps, tracks,
    users,
};
use crate::error::ApiError;
use crate::negotiate::Format;
use crate::wire::{buildkite, codecov, ctest, dci, pony, reportportal, resultsdb, squad, testomat};
use crate::{objects, pages};

/// The table of handlers, one for each operation of the map.
pub(crate) async fn handle(
    call: &Call<'_>,
    operation: Operation<'_>,
) -> Result<HttpResponse, ApiError> {
    use Collection::{
        Builds, ComponentTypes, Components, Issues, Projects, Steps, Tags, Tests, Tracks, Users,
    };
    if call.format == Format::Html
        && let Some(page) = pages::find(call, operation).await?
    {
        return Ok(page);
    }
    match operation {
        Operation::ListProjects => projects::list(call).await,
        Operation::ReadProject(project) => projects::get(call, project).await,
        Operation::PutProject(project) => projects::put(call, project).await,
        Operation::DeleteProject(project) => projects::delete(call, project).await,
        Operation::ReadProjectBadge(project) => feeds::badge(call, project.clone().into()).await,
        Operation::ReadProjectFeed(project) => feeds::feed(call, project.clone().into()).await,

        Operation::ListBuilds(project) => {
            lists::list(call, ListOf::project(call, project).await?).await
        }
        Operation::PostBuild(project) => builds::post(call, project).await,
        Operation::FindLatestBuild(project) => {
            lists::latest(call, ListOf::project(call, project).await?).await
        }
        Operation::ReadBuild(project, build) => builds::get(call, project, build).await,
        Operation::PutBuild(project, build) => builds::put(call, project, build).await,
        Operation::DeleteBuild(project, build) => builds::delete(call, project, build).await,
        Operation::ReadProgress(project, build) => progress::get(call, project, build).await,
        Operation::PostStep(project, build) => progress::post(call, project, build).await,
        Operation::CloseBuild(project, build) => progress::delete(call, project, build).await,
        Operation::ReadStep(project, build, step) => steps::get(call, project, build, *step).await,
        Operation::EndStep(project, build, step) => steps::put(call, project, build, *step).await,
        Operation::ReadStepLog(project, build, step) => {
            logs::get(call, project, build, *step).await
        }
        Operation::AppendToLog(project, build, step) => {
            logs::post(call, project, build, *step).await
        }
        Operation::SearchLogs(project, build) => log_search::get(call, project, build).await,
        Operation::ReadStepOutput(project, build, step) => {
            outputs::get(call, project, build, *step, Stream::Output).await
        }
        Operation::ReadStepErrout(project, build, step) => {
            outputs::get(call, project, build, *step, Stream::Errout).await
        }
        Operation::WatchBuild(project, build) => outputs::events(call, project, build).await,
        Operation::ReadReceipt(project, build) => receipts::get(call, project, build).await,
        Operation::Reparse(project, build) => receipts::reparse(call, project, build).await,

        Operation::ReadInsight(project, build) => insight::get(call, project, build).await,
        Operation::ReadRevision(project, revision) => revisions::get(call, project, revision).await,
        Operation::ListTests(project, build) => cases::list(call, project, build).await,
        Operation::FindAnything => search::get(call).await,
        Operation::ReadAdministration => administration::get(call).await,
        Operation::ReadTestCase(project, build, case) => {
            cases::one(call, project, build, *case).await
        }
        Operation::CompareBuilds(project, pair) => comparisons::get(call, project, pair).await,
        Operation::ReadTestHistory(project, test) => cases::history(call, project, test).await,

        Operation::ReadSignature(project, signature) => {
            signatures::get(call, project, signature).await
        }
        Operation::ListTracks(project) => tracks::list(call, project).await,
        Operation::ReadTrack(project, track) => tracks::get(call, project, track).await,
        Operation::ChangeTrack(project, track) => tracks::put(call, project, track).await,
        Operation::ListTrackTests(project, track) => tracks::tests(call, project, track).await,
        Operation::ReadTrackGrid(project, track) => tracks::grid(call, project, track).await,

        Operation::ListIssues(project) => issues::list(call, project).await,
        Operation::CreateIssue(project) => issues::post(call, project).await,
        Operation::ReadIssue(project, issue) => issues::get(call, project, issue).await,
        Operation::ChangeIssue(project, issue) => issues::put(call, project, issue).await,
        Operation::DeleteIssue(project, issue) => issues::delete(call, project, issue).await,

        Operation::ListTags(project) => lists::tags(call, project).await,
        Operation::ListTagged(project, tags) => {
            lists::list(call, ListOf::tagged(call, project, tags).await?).await
        }
        Operation::FindLatestTagged(project, tags) => {
            lists::latest(call, ListOf::tagged(call, project, tags).await?).await
        }
        Operation::ReadTaggedBadge(project, tags) => {
            feeds::badge(call, BuildsOf::Tagged(project.clone(), tags.clone())).await
        }
        Operation::ReadTaggedFeed(project, tags) => {
            feeds::feed(call, BuildsOf::Tagged(project.clone(), tags.clone())).await
        }

        Operation::ListUsers => users::list(call).await,
        Operation::ReadUser(username) => users::get(call, username).await,
        Operation::PutUser(username) => users::put(call, username).await,
        Operation::DeleteUser(username) => users::delete(call, username).await,
        Operation::ListUserBuilds(username) => {
            lists::list(call, ListOf::user(call, username).await?).await
        }
        Operation::FindLatestByUser(username) => {
            lists::latest(call, ListOf::user(call, username).await?).await
        }
        Operation::ReadUserBadge(username) => feeds::badge(call, username.clone().into()).await,
        Operation::ReadUserFeed(username) => feeds::feed(call, username.clone().into()).await,

        Operation::ListComponentTypeObjects => objects::lists::list(call, ComponentTypes).await,
        Operation::CreateComponentType => objects::write::create(call, ComponentTypes).await,
        Operation::ReadComponentTypeObject(id) => objects::get(call, ComponentTypes, id).await,
        Operation::ChangeComponentType(id) => {
            objects::write::update(call, ComponentTypes, id).await
        }
        Operation::DeleteComponentType(id) => {
            objects::write::delete(call, ComponentTypes, id).await
        }
        Operation::ListComponentsOfType(id) => objects::lists::components_of_type(call, id).await,
        Operation::ListComponentObjects => objects::lists::list(call, Components).await,
        Operation::CreateComponent => objects::write::create(call, Components).await,
        Operation::ReadComponentObject(id) => objects::get(call, Components, id).await,
        Operation::ChangeComponent(id) => objects::write::update(call, Components, id).await,
        Operation::DeleteComponent(id) => objects::write::delete(call, Components, id).await,
        Operation::ListBuildsOfComponent(id) => objects::lists::builds_of_component(call, id).await,
        Operation::ListProjectObjects => objects::lists::list(call, Projects).await,
        Operation::ReadProjectObject(id) => objects::get(call, Projects, id).await,
        Operation::ListBuildObjects => objects::lists::list(call, Builds).await,
        Operation::ReadBuildObject(id) => objects::get(call, Builds, id).await,
        Operation::ListStepObjects => objects::lists::list(call, Steps).await,
        Operation::ReadStepObject(id) => objects::get(call, Steps, id).await,
        Operation::ListTestObjects => objects::lists::list(call, Tests).await,
        Operation::ReadTestObject(id) => objects::get(call, Tests, id).await,
        Operation::ListTagObjects => objects::lists::list(call, Tags).await,
        Operation::ReadTagObject(id) => objects::get(call, Tags, id).await,
        Operation::ListIssueObjects => objects::lists::list(call, Issues).await,
        Operation::ReadIssueObject(id) => objects::get(call, Issues, id).await,
        Operation::ListTrackObjects => objects::lists::list(call, Tracks).await,
        Operation::ReadTrackObject(id) => objects::get(call, Tracks, id).await,
        Operation::ListUserObjects => objects::lists::list(call, Users).await,
        Operation::ReadUserObject(id) => objects::get(call, Users, id).await,

        Operation::TakeSubmission => ctest::put(call).await,
        Operation::AnnounceSubmission => ctest::post(call).await,
        Operation::FindSubmission => ctest::summary(call).await,
        Operation::ReadAgentInfo => Ok(reportportal::info()),
        Operation::ReadAgentSettings(..) => Ok(reportportal::settings(call)),
        Operation::FindLaunches(_, project) => reportportal::list_launches(call, project).await,
        Operation::StartLaunch(_, project) => reportportal::start_launch(call, project).await,
        Operation::MergeLaunches(_, project) => reportportal::merge_launches(call, project).await,
        Operation::ReadLaunch(_, project, launch) => {
            reportportal::read_launch(call, project, launch).await
        }
        Operation::FinishLaunch(_, project, launch) | Operation::StopLaunch(_, project, launch) => {
            reportportal::change_launch(call, (project, launch), true).await
        }
        Operation::UpdateLaunch(_, project, launch) => {
            reportportal::change_launch(call, (project, launch), false).await
        }
        Operation::StartItem(_, project) => reportportal::start_item(call, project, None).await,
        Operation::StartItemWithin(_, project, parent) => {
            reportportal::start_item(call, project, Some(parent)).await
        }
        Operation::ReadItem(_, project, item) => reportportal::read_item(call, project, item).await,
        Operation::FinishItem(_, project, item) => {
            reportportal::change_item(call, (project, item), true).await
        }
        Operation::UpdateItem(_, project, item) => {
            reportportal::change_item(call, (project, item), false).await
        }
        Operation::AddLogs(_, project) | Operation::AddLog(_, project) => {
            reportportal::post_logs(call, project).await
        }
        Operation::ListTopics => dci::topics::list(call).await,
        Operation::CreateTopic => dci::topics::post(call).await,
        Operation::ReadTopic(topic) => dci::topics::get(call, topic).await,
        Operation::ListTopicComponents(topic) => dci::components::list(call, topic).await,
        Operation::ListRemoteCis => dci::remotecis::list(call).await,
        Operation::CreateRemoteCi => dci::remotecis::post(call).await,
        Operation::ReadRemoteCi(remoteci) => dci::remotecis::get(call, remoteci).await,
        Operation::ListJobs => dci::jobs::list(call).await,
        Operation::CreateJob => dci::jobs::post(call).await,
        Operation::ReadJob(job) => dci::jobs::get(call, job).await,
        Operation::ChangeJob(job) => dci::jobs::put(call, job).await,
        Operation::DeleteJob(job) => dci::jobs::delete(call, job).await,
        Operation::ListJobStates(job) => dci::jobs::list_states(call, job).await,
        Operation::ListJobFiles(job) => dci::jobs::list_files(call, job).await,
        Operation::ListJobResults(job) => dci::jobs::list_results(call, job).await,
        Operation::AddJobNumber(job) => dci::jobs::post_number(call, job).await,
        Operation::RemoveJobNumber(job) => dci::jobs::delete_number(call, job).await,
        Operation::AddJobState => dci::jobs::post_state(call).await,
        Operation::ReadJobState(state) => dci::jobs::get_state(call, state).await,
        Operation::AddJobFile => dci::files::post(call).await,
        Operation::ReadJobFile(file) => dci::files::get(call, file).await,
        Operation::ReadJobFileContent(file) => dci::files::content(call, file).await,
        Operation::SubmitSquad(group, project, build, environment) => {
            squad::post(call, (group, project, build, environment)).await
        }
        Operation::AddResult => resultsdb::post(call, resultsdb::PROJECT).await,
        Operation::AddProjectResult(project) => resultsdb::post(call, project.as_str()).await,
        Operation::AddResultGroup => resultsdb::post_group(call, resultsdb::PROJECT).await,
        Operation::AddProjectResultGroup(project) => {
            resultsdb::post_group(call, project.as_str()).await
        }
        Operation::BeginTestomatRun => testomat::post(call).await,
        Operation::ChangeTestomatRun(run) => testomat::put(call, run).await,
        Operation::AddTestomatTests(run) => testomat::post_tests(call, run).await,
        Operation::AnnounceResults => codecov::post(call).await,
        Operation::PutResults(project, token) => codecov::put(call, project, token).await,
        Operation::CallPony => pony::call(call).await,
        Operation::UploadPony => pony::upload(call).await,
        Operation::PostBatch(project) => buildkite::post(call, project).await,

        Operation::ReadSession => service::session(call),
        // Signing in and out use forms, which are handled before operations.
        Operation::ChangeSession => Err(ApiError::UnsupportedType),
        Operation::ReadAsset(file) => service::asset(file),
        Operation::ReadRobots => Ok(service::robots()),
        Operation::ReadFavicon => Ok(service::favicon()),
        Operation::ReadHealth => Ok(service::health(call)),
        Operation::ReadReadiness => service::ready(call).await,
        Operation::ReadMetrics => service::metrics(call),
        Operation::ReadDescription => service::openapi(call),
        Operation::ReadDocs => pages::docs::page(call, ""),
        Operation::ReadReference => pages::docs::reference(call),
        Operation::ReadDocsPage(document) => pages::docs::page(call, document),
        Operation::ReadDocsSubpage(section, document) => {
            pages::docs::page(call, &format!("{section}/{document}"))
        }
    }
}
