//! The map of URIs: one row per resource, with its path, methods and operations.
//!
//! These rows are the only source for parsing and writing paths, links, `Allow`, metrics and
//! `/openapi.json`. A new resource needs a row here, an arm in the API's table of handlers, and a
//! document.

use devmason_domain::{BuildKey, SignatureId, Slug, TrackKey, Username};
use uuid::Uuid;

use crate::operation::{Answer, Description, Right, answer, document, error};
use crate::resource::resources;
use crate::{AgentVersion, BuildPair, Collection, TagSegment};

/// An operation without parameters or body.
const PLAIN: Description =
    Description { summary: "", right: Right::Read, query: &[], body: None, answers: &[] };

/// The parameters that describe a report file.
const REPORTED: [&str; 8] =
    ["report", "tag", "host", "arch", "user", "started", "name", "component"];

/// The parameters of a list with page numbers.
const PAGE: [&str; 2] = ["page", "per_page"];

/// The parameters of a list of builds.
const BUILDS: [&str; 15] = [
    "page", "per_page", "after", "before", "from", "fields", "where", "query", "sort", "state",
    "tag", "host", "branch", "in_track", "text",
];

/// The parameters of a list in the query API.
const OBJECTS: [&str; 6] = ["limit", "offset", "where", "query", "sort", "embed"];

const ABSENT: Answer = error(404, "Not found, or the page does not exist");
const NOT_PERMITTED: Answer = error(403, "Not permitted");
const REDIRECT: Answer = answer(302, "The build, at `Location`");
const UNCHANGED: Answer =
    answer(304, "Not modified: `If-None-Match` has the ETag of the representation");
const STALE: Answer = error(412, "The condition in `If-Match` or `If-None-Match` is not met");
const TOO_LARGE: Answer =
    error(413, "The body is longer than the limit, or a report exceeds one of its limits");
const NOT_JSON: Answer = error(
    415,
    "Unsupported media type or coding: the body must be `application/json` (or a report file when reporting a build), optionally compressed with gzip or zstd",
);
const KEY_REUSED: Answer = error(422, "The `Idempotency-Key` was used with another body");
const CLOSED: Answer = error(410, "The build is already finished");
const TAKEN: Answer = error(409, "A concurrent request is taking the username");

/// Responses that any operation may give.
pub const ANY: [Answer; 6] = [
    error(400, "A parameter, a header or a member of the body is invalid; the message names it"),
    error(401, "Wrong credentials, or none where they are required"),
    error(421, "The server does not serve this host"),
    error(429, "Too many wrong passwords; see `Retry-After`"),
    error(500, "Internal error; see the server log"),
    error(
        503,
        "The database is unreachable or busy, the queue is full, or memory is short; see `Retry-After`",
    ),
];

/// The response to `OPTIONS`, for any resource.
pub const OPTIONS: Description = Description {
    summary: "List the methods that this client may use here",
    right: Right::Read,
    answers: &[answer(204, "See `Allow`"), ABSENT],
    ..PLAIN
};

impl Description {
    /// The responses that the operation's right and body imply.
    pub fn implied(&self) -> Vec<Answer> {
        let mut answers = Vec::new();
        if !matches!(self.right, Right::Open | Right::SignIn) {
            answers.push(error(403, "Not permitted, or a cross-site request"));
        }
        if self.body.is_some() {
            answers.extend([TOO_LARGE, NOT_JSON]);
        }
        if self.body.is_some() || self.answers.iter().any(|answer| answer.status == 413) {
            answers.push(error(408, "Timed out waiting for the request body"));
        }
        answers
    }
}

resources! {
    /// The projects.
    ProjectList() = [""] in Server() {
        Get ListProjects {
            summary: "List the projects by name",
            right: Right::Read,
            query: &PAGE,
            answers: &[document(200, "ProjectList", "A page of projects"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// Whether the process is alive.
    Health() = ["healthz"] in Open() {
        Get ReadHealth {
            summary: "Check that the process is alive",
            right: Right::Open,
            answers: &[document(200, "Status", "Yes")],
            ..PLAIN
        }
    }

    /// Whether the server can handle requests.
    Ready() = ["readyz"] in Open() {
        Get ReadReadiness {
            summary: "Check that the database answers",
            right: Right::Open,
            answers: &[document(200, "Status", "Yes")],
            ..PLAIN
        }
    }

    /// The metrics.
    Metrics() = ["metrics"] in Server() {
        Get ReadMetrics {
            summary: "Read the metrics as OpenMetrics text",
            right: Right::Read,
            answers: &[answer(200, "The metrics")],
            ..PLAIN
        }
    }

    /// The description of the API.
    OpenApi() = ["openapi.json"] in Server() {
        Get ReadDescription {
            summary: "Read this description",
            right: Right::Read,
            answers: &[answer(200, "This description"), UNCHANGED],
            ..PLAIN
        }
    }

    /// A file that pages load.
    Asset(file: String) = ["static" / file] in Open() {
        Get ReadAsset {
            summary: "Read a file that pages load",
            right: Right::Open,
            answers: &[answer(200, "The file"), ABSENT],
            ..PLAIN
        }
    }

    /// What search engines may read.
    Robots() = ["robots.txt"] in Open() {
        Get ReadRobots {
            summary: "Read what search engines may read",
            right: Right::Open,
            answers: &[answer(200, "The rules (RFC 9309)")],
            ..PLAIN
        }
    }

    /// The icon that browsers ask for if a page names none.
    Favicon() = ["favicon.ico"] in Open() {
        Get ReadFavicon {
            summary: "Read the server's icon",
            right: Right::Open,
            answers: &[answer(200, "The icon, as SVG")],
            ..PLAIN
        }
    }

    /// What has a text in it.
    Search() = ["search"] in Server() {
        Get FindAnything {
            summary: "Find projects, builds, tests and failures by a text",
            right: Right::Read,
            query: &["q", "in_project"],
            answers: &[document(200, "SearchResults", "What was found"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The state of the server, for its administrators.
    Administration() = ["admin"] in Administration() {
        Get ReadAdministration {
            summary: "Read what the server holds and does",
            right: Right::Administrator,
            answers: &[document(200, "Administration", "Its state"), NOT_PERMITTED],
            ..PLAIN
        }
    }

    /// The documentation.
    Docs() = ["docs"] in Server() {
        Get ReadDocs {
            summary: "Read the documentation",
            right: Right::Read,
            answers: &[answer(200, "The page"), UNCHANGED],
            ..PLAIN
        }
    }

    /// The reference of the API for people.
    Reference() = ["docs" / "reference"] in Server() {
        Get ReadReference {
            summary: "Read this description as a page",
            right: Right::Read,
            answers: &[answer(200, "The page"), UNCHANGED],
            ..PLAIN
        }
    }

    /// A page of the documentation.
    DocsPage(document: String) = ["docs" / document] in Server() {
        Get ReadDocsPage {
            summary: "Read a page of the documentation",
            right: Right::Read,
            answers: &[answer(200, "The page"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// A page in a section of the documentation, or an image.
    DocsSubpage(section: String, document: String) = ["docs" / section / document] in Server() {
        Get ReadDocsSubpage {
            summary: "Read a page in a section of the documentation, or an image",
            right: Right::Read,
            answers: &[answer(200, "The page, or the image"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The browser session.
    Session() = ["api" / "v1" / "session"] in Session() {
        Get ReadSession {
            summary: "Read the signed-in user; browsers get the sign-in form",
            right: Right::SignIn,
            query: &["next"],
            answers: &[document(200, "Session", "The signed-in user"), UNCHANGED],
            ..PLAIN
        }
        Post ChangeSession {
            summary: "Sign in or out with a form",
            right: Right::SignIn,
            answers: &[
                answer(303, "Done; the cookie carries the session"),
                error(403, "The form has expired"),
                TOO_LARGE,
                NOT_JSON,
            ],
            ..PLAIN
        }
    }

    /// The component types.
    ComponentTypeObjects() = ["api" / "v1" / "componenttypes"] in Components() {
        Get ListComponentTypeObjects {
            summary: "List the component types",
            right: Right::Read,
            query: &OBJECTS,
            answers: &[document(200, "ComponentTypes", "A part of the list"), UNCHANGED],
            ..PLAIN
        }
        Post CreateComponentType {
            summary: "Create a component type",
            right: Right::Create,
            body: Some("NewComponentType"),
            answers: &[
                document(201, "OneComponentType", "Created"),
                error(409, "The name is taken"),
                KEY_REUSED,
            ],
            ..PLAIN
        }
    }

    /// A component type, by its id or name.
    ComponentTypeObject(id: String) = ["api" / "v1" / "componenttypes" / id] in Object(Collection::ComponentTypes, id) {
        Get ReadComponentTypeObject {
            summary: "Read a component type",
            right: Right::Read,
            answers: &[document(200, "OneComponentType", "The object"), UNCHANGED, ABSENT],
            ..PLAIN
        }
        Put ChangeComponentType {
            summary: "Change a component type",
            right: Right::Object,
            body: Some("NewComponentType"),
            answers: &[answer(204, "Changed"), ABSENT, error(409, "The name is taken"), STALE],
            ..PLAIN
        }
        Delete DeleteComponentType {
            summary: "Delete a component type",
            right: Right::Object,
            query: &["cascade"],
            answers: &[answer(204, "Deleted"), ABSENT, error(409, "Still in use"), STALE],
            ..PLAIN
        }
    }

    /// The components of a type.
    ComponentsOfType(id: String) = ["api" / "v1" / "componenttypes" / id / "components"] in InObject(Collection::ComponentTypes, id) {
        Get ListComponentsOfType {
            summary: "List the components of a type",
            right: Right::Read,
            query: &OBJECTS,
            answers: &[document(200, "Components", "A part of the list"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The components.
    ComponentObjects() = ["api" / "v1" / "components"] in Components() {
        Get ListComponentObjects {
            summary: "List the components",
            right: Right::Read,
            query: &OBJECTS,
            answers: &[document(200, "Components", "A part of the list"), UNCHANGED],
            ..PLAIN
        }
        Post CreateComponent {
            summary: "Create a component",
            right: Right::Create,
            body: Some("NewComponent"),
            answers: &[
                document(201, "OneComponent", "Created"),
                error(409, "The name is taken"),
                KEY_REUSED,
            ],
            ..PLAIN
        }
    }

    /// A component, by its id or name.
    ComponentObject(id: String) = ["api" / "v1" / "components" / id] in Object(Collection::Components, id) {
        Get ReadComponentObject {
            summary: "Read a component",
            right: Right::Read,
            query: &["embed"],
            answers: &[
                document(200, "OneComponent", "The object"),
                UNCHANGED,
                ABSENT,
                error(409, "The name fits several components"),
            ],
            ..PLAIN
        }
        Put ChangeComponent {
            summary: "Change a component",
            right: Right::Object,
            body: Some("ComponentChange"),
            answers: &[
                document(201, "OneComponent", "Changed"),
                ABSENT,
                error(409, "The name is taken"),
                STALE,
            ],
            ..PLAIN
        }
        Delete DeleteComponent {
            summary: "Delete a component",
            right: Right::Object,
            query: &["cascade"],
            answers: &[answer(204, "Deleted"), ABSENT, error(409, "Still in use"), STALE],
            ..PLAIN
        }
    }

    /// The builds that tested a component.
    BuildsOfComponent(id: String) = ["api" / "v1" / "components" / id / "builds"] in InObject(Collection::Components, id) {
        Get ListBuildsOfComponent {
            summary: "List the builds that tested a component",
            right: Right::Read,
            query: &OBJECTS,
            answers: &[
                document(200, "BuildObjects", "A part of the list"),
                UNCHANGED,
                ABSENT,
                error(409, "The name fits several components"),
            ],
            ..PLAIN
        }
    }

    /// The projects, in the query API.
    ProjectObjects() = ["api" / "v1" / "projects"] in Server() {
        Get ListProjectObjects {
            summary: "List the projects",
            right: Right::Read,
            query: &OBJECTS,
            answers: &[document(200, "ProjectObjects", "A part of the list"), UNCHANGED],
            ..PLAIN
        }
    }

    /// A project, in the query API.
    ProjectObject(id: String) = ["api" / "v1" / "projects" / id] in Object(Collection::Projects, id) {
        Get ReadProjectObject {
            summary: "Read a project",
            right: Right::Read,
            answers: &[document(200, "OneProjectObject", "The object"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The builds of all projects.
    BuildObjects() = ["api" / "v1" / "builds"] in Server() {
        Get ListBuildObjects {
            summary: "List the builds of all projects",
            right: Right::Read,
            query: &OBJECTS,
            answers: &[document(200, "BuildObjects", "A part of the list"), UNCHANGED],
            ..PLAIN
        }
    }

    /// A build, by its id.
    BuildObject(id: String) = ["api" / "v1" / "builds" / id] in Object(Collection::Builds, id) {
        Get ReadBuildObject {
            summary: "Read a build",
            right: Right::Read,
            answers: &[document(200, "OneBuildObject", "The object"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The steps of all builds.
    StepObjects() = ["api" / "v1" / "steps"] in Server() {
        Get ListStepObjects {
            summary: "List the steps of all builds",
            right: Right::Read,
            query: &OBJECTS,
            answers: &[document(200, "StepObjects", "A part of the list"), UNCHANGED],
            ..PLAIN
        }
    }

    /// A step, by its id.
    StepObject(id: String) = ["api" / "v1" / "steps" / id] in Object(Collection::Steps, id) {
        Get ReadStepObject {
            summary: "Read a step",
            right: Right::Read,
            answers: &[document(200, "OneStepObject", "The object"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The test cases of all builds.
    TestObjects() = ["api" / "v1" / "tests"] in Server() {
        Get ListTestObjects {
            summary: "List the test cases of all builds",
            right: Right::Read,
            query: &OBJECTS,
            answers: &[document(200, "TestObjects", "A part of the list"), UNCHANGED],
            ..PLAIN
        }
    }

    /// A test case, by its id.
    TestObject(id: String) = ["api" / "v1" / "tests" / id] in Object(Collection::Tests, id) {
        Get ReadTestObject {
            summary: "Read a test case",
            right: Right::Read,
            answers: &[document(200, "OneTestObject", "The object"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The tags of all projects.
    TagObjects() = ["api" / "v1" / "tags"] in Server() {
        Get ListTagObjects {
            summary: "List the tags of all projects",
            right: Right::Read,
            query: &OBJECTS,
            answers: &[document(200, "TagObjects", "A part of the list"), UNCHANGED],
            ..PLAIN
        }
    }

    /// A tag, by its id.
    TagObject(id: String) = ["api" / "v1" / "tags" / id] in Object(Collection::Tags, id) {
        Get ReadTagObject {
            summary: "Read a tag",
            right: Right::Read,
            answers: &[document(200, "OneTagObject", "The object"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The users, in the query API.
    UserObjects() = ["api" / "v1" / "users"] in Server() {
        Get ListUserObjects {
            summary: "List the users",
            right: Right::Read,
            query: &OBJECTS,
            answers: &[document(200, "UserObjects", "A part of the list"), UNCHANGED],
            ..PLAIN
        }
    }

    /// A user, in the query API.
    UserObject(id: String) = ["api" / "v1" / "users" / id] in Object(Collection::Users, id) {
        Get ReadUserObject {
            summary: "Read a user",
            right: Right::Read,
            answers: &[document(200, "OneUserObject", "The object"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The known issues of all projects.
    IssueObjects() = ["api" / "v1" / "issues"] in Server() {
        Get ListIssueObjects {
            summary: "List the known issues of all projects",
            right: Right::Read,
            query: &OBJECTS,
            answers: &[document(200, "IssueObjects", "A part of the list"), UNCHANGED],
            ..PLAIN
        }
    }

    /// A known issue, in the query API.
    IssueObject(id: String) = ["api" / "v1" / "issues" / id] in Object(Collection::Issues, id) {
        Get ReadIssueObject {
            summary: "Read a known issue",
            right: Right::Read,
            answers: &[document(200, "OneIssueObject", "The object"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The tracks of all projects.
    TrackObjects() = ["api" / "v1" / "tracks"] in Server() {
        Get ListTrackObjects {
            summary: "List the tracks of all projects",
            right: Right::Read,
            query: &OBJECTS,
            answers: &[document(200, "TrackObjects", "A part of the list"), UNCHANGED],
            ..PLAIN
        }
    }

    /// A track, in the query API.
    TrackObject(id: String) = ["api" / "v1" / "tracks" / id] in Object(Collection::Tracks, id) {
        Get ReadTrackObject {
            summary: "Read a track",
            right: Right::Read,
            answers: &[document(200, "OneTrackObject", "The object"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The users.
    UserList() = ["users"] in Server() {
        Get ListUsers {
            summary: "List the users by name",
            right: Right::Read,
            query: &PAGE,
            answers: &[document(200, "UserList", "A page of users"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// A user.
    User(username: Username) = ["users" / username] in User(username) {
        Get ReadUser {
            summary: "Read a user",
            right: Right::Read,
            answers: &[document(200, "User", "The user"), UNCHANGED, ABSENT],
            ..PLAIN
        }
        Put PutUser {
            summary: "Create a user, or change the password",
            right: Right::Oneself,
            body: Some("NewUser"),
            answers: &[
                document(200, "User", "The password is changed"),
                document(201, "User", "Created"),
                ABSENT,
                TAKEN,
                STALE,
            ],
            ..PLAIN
        }
        Delete DeleteUser {
            summary: "Delete a user",
            right: Right::User,
            answers: &[
                answer(204, "Deleted: the user's projects have no owner, the user's builds are anonymous"),
                ABSENT,
                STALE,
            ],
            ..PLAIN
        }
    }

    /// The builds that a user sent.
    UserBuilds(username: Username) = ["users" / username / "builds"] in InUser(username) {
        Get ListUserBuilds {
            summary: "List the user's builds, newest first",
            right: Right::Read,
            query: &BUILDS,
            answers: &[document(200, "BuildList", "A page of builds"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The latest build that a user sent.
    LatestByUser(username: Username) = ["users" / username / "builds" / "latest"] in InUser(username) {
        Get FindLatestByUser {
            summary: "Redirect to the user's latest build",
            right: Right::Read,
            answers: &[REDIRECT, ABSENT],
            ..PLAIN
        }
    }

    /// The badge of a user's latest build.
    UserBadge(username: Username) = ["users" / username / "badge.svg"] in InUser(username) {
        Get ReadUserBadge {
            summary: "Read the status of the user's latest build as an SVG badge",
            right: Right::Read,
            answers: &[answer(200, "An SVG"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The feed of a user's recent builds.
    UserFeed(username: Username) = ["users" / username / "builds.atom"] in InUser(username) {
        Get ReadUserFeed {
            summary: "Read the user's recent builds as an Atom feed",
            right: Right::Read,
            answers: &[answer(200, "A feed"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    // What DCI's agents and commands use beside the components above. An id in these paths is what the
    // answers say.

    /// The topics of DCI, which are projects.
    Topics() = ["api" / "v1" / "topics"] in Foreign() {
        Get ListTopics {
            summary: "List projects as the topics of DCI",
            right: Right::Read,
            query: &["where", "sort", "limit", "offset"],
            answers: &[answer(200, "A part of the list")],
            ..PLAIN
        }
        Post CreateTopic {
            summary: "Register a project as a topic of DCI; see docs/migrating.md",
            right: Right::Report,
            answers: &[answer(201, "Registered"), error(409, "The name is taken"), TOO_LARGE],
            ..PLAIN
        }
    }

    /// A topic.
    Topic(topic: String) = ["api" / "v1" / "topics" / topic] in Foreign() {
        Get ReadTopic {
            summary: "Read a project as a topic of DCI",
            right: Right::Read,
            answers: &[answer(200, "The topic"), ABSENT],
            ..PLAIN
        }
    }

    /// The components of a topic.
    TopicComponents(topic: String) = ["api" / "v1" / "topics" / topic / "components"] in Foreign() {
        Get ListTopicComponents {
            summary: "List the components of a topic, in DCI's words",
            right: Right::Read,
            query: &["where", "sort", "limit", "offset"],
            answers: &[answer(200, "A part of the list"), ABSENT],
            ..PLAIN
        }
    }

    /// The labs of DCI.
    RemoteCis() = ["api" / "v1" / "remotecis"] in Foreign() {
        Get ListRemoteCis {
            summary: "List the labs that were registered",
            right: Right::Read,
            query: &["where", "sort", "limit", "offset"],
            answers: &[answer(200, "A part of the list")],
            ..PLAIN
        }
        Post CreateRemoteCi {
            summary: "Register a lab, whose name is the host of its builds",
            right: Right::Report,
            answers: &[answer(201, "Registered"), error(409, "The name is taken"), TOO_LARGE],
            ..PLAIN
        }
    }

    /// A lab.
    RemoteCi(remoteci: String) = ["api" / "v1" / "remotecis" / remoteci] in Foreign() {
        Get ReadRemoteCi {
            summary: "Read a lab",
            right: Right::Read,
            answers: &[answer(200, "The lab"), ABSENT],
            ..PLAIN
        }
    }

    /// The jobs of DCI, which are builds.
    Jobs() = ["api" / "v1" / "jobs"] in Foreign() {
        Get ListJobs {
            summary: "List the jobs of DCI, newest first",
            right: Right::Read,
            query: &["where", "sort", "limit", "offset"],
            answers: &[answer(200, "A part of the list")],
            ..PLAIN
        }
        Post CreateJob {
            summary: "Begin a job; see docs/migrating.md",
            right: Right::Report,
            answers: &[answer(201, "Begun"), TOO_LARGE],
            ..PLAIN
        }
    }

    /// A job.
    Job(job: String) = ["api" / "v1" / "jobs" / job] in Foreign() {
        Get ReadJob {
            summary: "Read a job",
            right: Right::Read,
            answers: &[answer(200, "The job"), ABSENT],
            ..PLAIN
        }
        Put ChangeJob {
            summary: "Say something of a job",
            right: Right::Report,
            answers: &[answer(200, "The job"), ABSENT, STALE, TOO_LARGE],
            ..PLAIN
        }
        Delete DeleteJob {
            summary: "Delete a job with its build",
            right: Right::Report,
            answers: &[answer(204, "Done"), ABSENT, STALE],
            ..PLAIN
        }
    }

    /// The states that a job entered.
    JobStatesOf(job: String) = ["api" / "v1" / "jobs" / job / "jobstates"] in Foreign() {
        Get ListJobStates {
            summary: "List the states that a job entered",
            right: Right::Read,
            query: &["where", "sort", "limit", "offset"],
            answers: &[answer(200, "A part of the list"), ABSENT],
            ..PLAIN
        }
    }

    /// The files of a job.
    JobFilesOf(job: String) = ["api" / "v1" / "jobs" / job / "files"] in Foreign() {
        Get ListJobFiles {
            summary: "List the files of a job",
            right: Right::Read,
            query: &["where", "sort", "limit", "offset"],
            answers: &[answer(200, "A part of the list"), ABSENT],
            ..PLAIN
        }
    }

    /// The counts of a job's tests.
    JobResults(job: String) = ["api" / "v1" / "jobs" / job / "results"] in Foreign() {
        Get ListJobResults {
            summary: "List the counts of the tests in a job's files",
            right: Right::Read,
            query: &["where", "sort", "limit", "offset"],
            answers: &[answer(200, "A part of the list"), ABSENT],
            ..PLAIN
        }
    }

    /// The numbers of a job.
    JobNumbers(job: String) = ["api" / "v1" / "jobs" / job / "kv"] in Foreign() {
        Post AddJobNumber {
            summary: "Keep a number of a job under a name",
            right: Right::Report,
            answers: &[answer(201, "Kept"), ABSENT, TOO_LARGE],
            ..PLAIN
        }
        Delete RemoveJobNumber {
            summary: "Take back a number of a job",
            right: Right::Report,
            answers: &[answer(204, "Done"), ABSENT, TOO_LARGE],
            ..PLAIN
        }
    }

    /// The states of jobs.
    JobStates() = ["api" / "v1" / "jobstates"] in Foreign() {
        Post AddJobState {
            summary: "Enter a state; the last ends the job",
            right: Right::Report,
            answers: &[answer(201, "Entered"), ABSENT, TOO_LARGE],
            ..PLAIN
        }
    }

    /// A state of a job.
    JobState(job_state: String) = ["api" / "v1" / "jobstates" / job_state] in Foreign() {
        Get ReadJobState {
            summary: "Read a state of a job",
            right: Right::Read,
            answers: &[answer(200, "The state"), ABSENT],
            ..PLAIN
        }
    }

    /// The files of jobs.
    JobFiles() = ["api" / "v1" / "files"] in Foreign() {
        Post AddJobFile {
            summary: "Take a file of a job, which headers name; reports of tests are read",
            right: Right::Report,
            answers: &[answer(201, "Kept"), ABSENT, TOO_LARGE],
            ..PLAIN
        }
    }

    /// A file of a job.
    JobFile(job_file: String) = ["api" / "v1" / "files" / job_file] in Foreign() {
        Get ReadJobFile {
            summary: "Read what is known of a file",
            right: Right::Read,
            answers: &[answer(200, "The file"), ABSENT],
            ..PLAIN
        }
    }

    /// What a file of a job says.
    JobFileContent(job_file: String) = ["api" / "v1" / "files" / job_file / "content"] in Foreign() {
        Get ReadJobFileContent {
            summary: "Read a file of a job, if it is a text",
            right: Right::Read,
            answers: &[answer(200, "Its text"), ABSENT],
            ..PLAIN
        }
    }

    // What the agents of ReportPortal use. A collection of the query API above wins over a project of
    // its name.

    /// The version that agents of ReportPortal are told.
    AgentInfo() = ["api" / "info"] in Open() {
        Get ReadAgentInfo {
            summary: "Read the version that ReportPortal's agents ask for",
            right: Right::Open,
            answers: &[answer(200, "The version")],
            ..PLAIN
        }
    }

    /// The settings that agents of ReportPortal ask for.
    AgentSettings(version: AgentVersion, project: String) = ["api" / version / project / "settings"] in Foreign() {
        Get ReadAgentSettings {
            summary: "Read the settings that ReportPortal's agents ask for",
            right: Right::Read,
            answers: &[answer(200, "The settings"), ABSENT],
            ..PLAIN
        }
    }

    /// The launches of a project, for agents of ReportPortal.
    Launches(version: AgentVersion, project: String) = ["api" / version / project / "launch"] in Foreign() {
        Get FindLaunches {
            summary: "Find launches by their ids",
            right: Right::Report,
            query: &["filter.in.uuid"],
            answers: &[answer(200, "A page of launches"), ABSENT],
            ..PLAIN
        }
        Post StartLaunch {
            summary: "Start a launch from an agent of ReportPortal; see docs/migrating.md",
            right: Right::Report,
            answers: &[answer(201, "Started: its id"), ABSENT, error(409, "Another build has the key that this one would get"), TOO_LARGE, NOT_JSON],
            ..PLAIN
        }
    }

    /// Merges launches.
    LaunchMerge(version: AgentVersion, project: String) = ["api" / version / project / "launch" / "merge"] in Foreign() {
        Post MergeLaunches {
            summary: "Answer a request to merge launches; nothing is merged",
            right: Right::Report,
            answers: &[answer(200, "The first launch"), ABSENT, error(409, "Another build has the key that this one would get"), TOO_LARGE, NOT_JSON],
            ..PLAIN
        }
    }

    /// A launch by its id.
    LaunchById(version: AgentVersion, project: String, launch: String) = ["api" / version / project / "launch" / "uuid" / launch] in Foreign() {
        Get ReadLaunch {
            summary: "Find a launch by its id",
            right: Right::Report,
            answers: &[answer(200, "The launch"), ABSENT],
            ..PLAIN
        }
    }

    /// Where a launch is told to finish.
    LaunchFinish(version: AgentVersion, project: String, launch: String) = ["api" / version / project / "launch" / launch / "finish"] in Foreign() {
        Put FinishLaunch {
            summary: "End a launch",
            right: Right::Report,
            answers: &[answer(200, "Done"), ABSENT, error(409, "Another build has the key that this one would get"), TOO_LARGE, NOT_JSON],
            ..PLAIN
        }
    }

    /// Where a launch is told to stop.
    LaunchStop(version: AgentVersion, project: String, launch: String) = ["api" / version / project / "launch" / launch / "stop"] in Foreign() {
        Put StopLaunch {
            summary: "End a launch before all of it has run",
            right: Right::Report,
            answers: &[answer(200, "Done"), ABSENT, error(409, "Another build has the key that this one would get"), TOO_LARGE, NOT_JSON],
            ..PLAIN
        }
    }

    /// Where a launch is told to update.
    LaunchUpdate(version: AgentVersion, project: String, launch: String) = ["api" / version / project / "launch" / launch / "update"] in Foreign() {
        Put UpdateLaunch {
            summary: "Say something of a launch",
            right: Right::Report,
            answers: &[answer(200, "Done"), ABSENT, error(409, "Another build has the key that this one would get"), TOO_LARGE, NOT_JSON],
            ..PLAIN
        }
    }

    /// The items of launches.
    LaunchItems(version: AgentVersion, project: String) = ["api" / version / project / "item"] in Foreign() {
        Post StartItem {
            summary: "Start an item of a launch",
            right: Right::Report,
            answers: &[answer(201, "Started: its id"), ABSENT, error(409, "Another build has the key that this one would get"), TOO_LARGE, NOT_JSON],
            ..PLAIN
        }
    }

    /// An item by its id.
    LaunchItemById(version: AgentVersion, project: String, item: String) = ["api" / version / project / "item" / "uuid" / item] in Foreign() {
        Get ReadItem {
            summary: "Find an item by its id",
            right: Right::Report,
            answers: &[answer(200, "The item"), ABSENT],
            ..PLAIN
        }
    }

    /// An item of a launch.
    LaunchItem(version: AgentVersion, project: String, item: String) = ["api" / version / project / "item" / item] in Foreign() {
        Post StartItemWithin {
            summary: "Start an item within this one",
            right: Right::Report,
            answers: &[answer(201, "Started: its id"), ABSENT, error(409, "Another build has the key that this one would get"), TOO_LARGE, NOT_JSON],
            ..PLAIN
        }
        Put FinishItem {
            summary: "End an item",
            right: Right::Report,
            answers: &[answer(200, "Done"), ABSENT, error(409, "Another build has the key that this one would get"), TOO_LARGE, NOT_JSON],
            ..PLAIN
        }
    }

    /// Where something is said of an item.
    LaunchItemUpdate(version: AgentVersion, project: String, item: String) = ["api" / version / project / "item" / item / "update"] in Foreign() {
        Put UpdateItem {
            summary: "Say something of an item",
            right: Right::Report,
            answers: &[answer(200, "Done"), ABSENT, error(409, "Another build has the key that this one would get"), TOO_LARGE, NOT_JSON],
            ..PLAIN
        }
    }

    /// The logs of launches and items.
    LaunchLog(version: AgentVersion, project: String) = ["api" / version / project / "log"] in Foreign() {
        Post AddLogs {
            summary: "Add logs to a launch and its items",
            right: Right::Report,
            answers: &[answer(201, "Added"), ABSENT, error(409, "Another build has the key that this one would get"), TOO_LARGE, NOT_JSON],
            ..PLAIN
        }
    }

    /// The same, for one entry.
    LaunchLogEntry(version: AgentVersion, project: String) = ["api" / version / project / "log" / "entry"] in Foreign() {
        Post AddLog {
            summary: "Add a log entry to a launch or an item",
            right: Right::Report,
            answers: &[answer(201, "Added"), ABSENT, error(409, "Another build has the key that this one would get"), TOO_LARGE, NOT_JSON],
            ..PLAIN
        }
    }

    /// Where CTest submits to, as to CDash.
    Submission() = ["submit.php"] in Foreign() {
        Put TakeSubmission {
            summary: "Take a file from CTest, as CDash does; see docs/migrating.md",
            right: Right::Report,
            query: &[
                "of_project", "site", "of_build", "stamp", "subproject", "FileName", "MD5", "buildid",
                "upload_type", "filename", "md5",
            ],
            answers: &[
                answer(200, "Taken: XML with the build's number"),
                ABSENT,
                error(409, "Another build has the key that this one would get"),
                TOO_LARGE,
                error(415, "The file is none of CTest's"),
            ],
            ..PLAIN
        }
        Post AnnounceSubmission {
            summary: "Hear from CTest that a file follows",
            right: Right::Report,
            answers: &[
                answer(200, "The build's number, and whether the file is wanted"),
                ABSENT,
                error(409, "Another build has the key that this one would get"),
                TOO_LARGE,
                NOT_JSON,
            ],
            ..PLAIN
        }
    }

    /// Where CTest's users look for a build by its number, as at CDash.
    SubmissionSummary() = ["buildSummary.php"] in Server() {
        Get FindSubmission {
            summary: "Redirect to a build that CTest submitted",
            right: Right::Read,
            query: &["buildid"],
            answers: &[REDIRECT, ABSENT],
            ..PLAIN
        }
    }

    /// Where squad-client submits to.
    SquadSubmission(group: String, project: String, build: String, environment: String)
        = ["api" / "submit" / group / project / build / environment] in Foreign() {
        Post SubmitSquad {
            summary: "Take a submission of squad-client; see docs/migrating.md",
            right: Right::Report,
            answers: &[
                answer(201, "Stored: the number of the run"),
                ABSENT,
                error(409, "Another build has the key that this one would get"),
                TOO_LARGE,
            ],
            ..PLAIN
        }
    }

    /// Where clients of ResultsDB send results of the project `resultsdb`.
    Results() = ["api" / "v2.0" / "results"] in Foreign() {
        Post AddResult {
            summary: "Take a result from a client of ResultsDB; see docs/migrating.md",
            right: Right::SignIn,
            answers: &[
                answer(201, "Stored: its build, and the build's number"),
                NOT_PERMITTED,
                ABSENT,
                error(409, "Another build has the key that this one would get"),
                TOO_LARGE,
            ],
            ..PLAIN
        }
    }

    /// Where they register groups of results.
    ResultGroups() = ["api" / "v2.0" / "groups"] in Foreign() {
        Post AddResultGroup {
            summary: "Keep what a client of ResultsDB says of a group of results",
            right: Right::SignIn,
            answers: &[answer(201, "Kept"), NOT_PERMITTED, TOO_LARGE],
            ..PLAIN
        }
    }

    /// Where clients of ResultsDB send results of a project.
    ProjectResults(project: Slug) = [project / "resultsdb" / "v2.0" / "results"] in Foreign() {
        Post AddProjectResult {
            summary: "Take a result from a client of ResultsDB",
            right: Right::SignIn,
            answers: &[
                answer(201, "Stored: its build, and the build's number"),
                NOT_PERMITTED,
                ABSENT,
                error(409, "Another build has the key that this one would get"),
                TOO_LARGE,
            ],
            ..PLAIN
        }
    }

    /// Where they register groups of results.
    ProjectResultGroups(project: Slug) = [project / "resultsdb" / "v2.0" / "groups"] in Foreign() {
        Post AddProjectResultGroup {
            summary: "Keep what a client of ResultsDB says of a group of results",
            right: Right::SignIn,
            answers: &[answer(201, "Kept"), NOT_PERMITTED, ABSENT, TOO_LARGE],
            ..PLAIN
        }
    }

    /// Where Testomat.io's reporter begins a run.
    TestomatRuns() = ["api" / "reporter"] in Foreign() {
        Post BeginTestomatRun {
            summary: "Begin a run of Testomat.io's reporter, whose key is in the body; see docs/migrating.md",
            right: Right::SignIn,
            answers: &[
                answer(200, "Its id, and where it is"),
                NOT_PERMITTED,
                error(409, "Another build has the key that this one would get"),
                TOO_LARGE,
            ],
            ..PLAIN
        }
    }

    /// A run of Testomat.io's reporter.
    TestomatRun(run: String) = ["api" / "reporter" / run] in Foreign() {
        Put ChangeTestomatRun {
            summary: "Say something of a run, or end it",
            right: Right::SignIn,
            answers: &[answer(200, "Done"), NOT_PERMITTED, ABSENT, TOO_LARGE],
            ..PLAIN
        }
    }

    /// Where Testomat.io's reporter sends tests.
    TestomatTests(run: String) = ["api" / "reporter" / run / "testrun"] in Foreign() {
        Post AddTestomatTests {
            summary: "Take tests of a run",
            right: Right::SignIn,
            answers: &[answer(200, "Kept"), NOT_PERMITTED, ABSENT, TOO_LARGE],
            ..PLAIN
        }
    }

    /// Where codecov-cli says that test results follow.
    CodecovUploads() = ["upload" / "test_results" / "v1"] in Foreign() {
        Post AnnounceResults {
            summary: "Hear from codecov-cli what test results are about; see docs/migrating.md",
            right: Right::Report,
            answers: &[
                answer(200, "Where the files go"),
                ABSENT,
                error(409, "Another build has the key that this one would get"),
                TOO_LARGE,
            ],
            ..PLAIN
        }
    }

    /// Where codecov-cli sends the files, without credentials.
    CodecovFiles(project: Slug, token: String) = ["upload" / "test_results" / "v1" / project / token] in Foreign() {
        Put PutResults {
            summary: "Take test results from codecov-cli, at an address that only it knows",
            right: Right::Open,
            answers: &[
                answer(200, "Stored"),
                ABSENT,
                TOO_LARGE,
                error(415, "A file is no report that is read here"),
            ],
            ..PLAIN
        }
    }

    /// Where pony-build's client calls.
    PonyCalls() = ["xmlrpc"] in Foreign() {
        Post CallPony {
            summary: "Answer a call of pony-build's client; see docs/migrating.md",
            right: Right::Report,
            answers: &[
                answer(200, "The response, or a fault"),
                ABSENT,
                error(409, "Another build has the key that this one would get"),
                TOO_LARGE,
            ],
            ..PLAIN
        }
    }

    /// Where pony-build's client sends files.
    PonyUploads() = ["upload"] in Foreign() {
        Post UploadPony {
            summary: "Take a file from pony-build's client, which has no place here",
            right: Right::Report,
            query: &["filename", "description", "auth_key"],
            answers: &[answer(200, "It is named in the receipt"), ABSENT, TOO_LARGE],
            ..PLAIN
        }
    }

    // Any other first segment is a project's name, so these rows come last.

    /// A project.
    Project(project: Slug) = [project] in Project(project) {
        Get ReadProject {
            summary: "Read a project",
            right: Right::Read,
            answers: &[document(200, "Project", "The project"), UNCHANGED, ABSENT],
            ..PLAIN
        }
        Put PutProject {
            summary: "Create or change a project",
            right: Right::Project,
            body: Some("NewProject"),
            answers: &[
                document(200, "Project", "Changed"),
                document(201, "Project", "Created"),
                TAKEN,
                STALE,
                ABSENT,
            ],
            ..PLAIN
        }
        Delete DeleteProject {
            summary: "Delete a project and its builds",
            right: Right::Project,
            answers: &[answer(204, "Deleted"), ABSENT, STALE],
            ..PLAIN
        }
    }

    /// The badge of a project's latest build.
    ProjectBadge(project: Slug) = [project / "badge.svg"] in InProject(project) {
        Get ReadProjectBadge {
            summary: "Read the status of the latest build of a branch, by default the mainline, as an SVG badge",
            right: Right::Read,
            query: &["branch", "variant"],
            answers: &[answer(200, "An SVG"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The feed of a project's recent builds.
    ProjectFeed(project: Slug) = [project / "builds.atom"] in InProject(project) {
        Get ReadProjectFeed {
            summary: "Read the recent builds of a branch, by default the mainline, as an Atom feed",
            right: Right::Read,
            query: &["branch", "variant"],
            answers: &[answer(200, "A feed"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The builds of a project.
    BuildList(project: Slug) = [project / "builds"] in Builds(project) {
        Get ListBuilds {
            summary: "List the project's builds, newest first",
            right: Right::Read,
            query: &BUILDS,
            answers: &[document(200, "BuildList", "A page of builds"), UNCHANGED, ABSENT],
            ..PLAIN
        }
        Post PostBuild {
            summary: "Report a build as a document or a report file, or start an incremental one",
            right: Right::Report,
            query: &REPORTED,
            body: Some("NewBuild"),
            answers: &[
                answer(201, "Stored: `Location` is the build, or its progress"),
                ABSENT,
                TAKEN,
                KEY_REUSED,
            ],
        }
    }

    /// Where the collectors of Buildkite Test Engine send batches of test cases.
    BuildkiteUploads(project: Slug) = [project / "buildkite" / "v1" / "uploads"] in Foreign() {
        Post PostBatch {
            summary: "Take a batch of test cases from a collector of Buildkite Test Engine; see docs/migrating.md",
            right: Right::Report,
            answers: &[
                answer(202, "Taken"),
                ABSENT,
                error(409, "Another build has the key that this one would get"),
                TOO_LARGE,
                error(415, "Neither JSON nor a form, or a report in a format that is not read here"),
            ],
            ..PLAIN
        }
    }

    /// The latest build of a project.
    LatestBuild(project: Slug) = [project / "builds" / "latest"] in InProject(project) {
        Get FindLatestBuild {
            summary: "Redirect to the latest build",
            right: Right::Read,
            answers: &[REDIRECT, ABSENT],
            ..PLAIN
        }
    }

    /// A build.
    Build(project: Slug, build: BuildKey) = [project / "builds" / build] in Build(project, build) {
        Get ReadBuild {
            summary: "Read a build",
            right: Right::Read,
            query: &["fields"],
            answers: &[document(200, "Build", "The build"), UNCHANGED, ABSENT],
            ..PLAIN
        }
        Put PutBuild {
            summary: "Report a build under an id that the client chooses",
            right: Right::Report,
            query: &REPORTED,
            body: Some("NewBuild"),
            answers: &[
                answer(200, "The same document was stored before"),
                answer(201, "Stored"),
                STALE,
                ABSENT,
                error(409, "A different document is already stored under this id; builds cannot be updated"),
            ],
        }
        Delete DeleteBuild {
            summary: "Delete a build",
            right: Right::Build,
            answers: &[answer(204, "Deleted"), ABSENT, STALE],
            ..PLAIN
        }
    }

    /// A build in progress.
    Progress(project: Slug, build: BuildKey) = [project / "builds" / build / "progress"] in Progress(project, build) {
        Get ReadProgress {
            summary: "Check whether a build is running",
            right: Right::Read,
            answers: &[answer(200, "Yes"), UNCHANGED, ABSENT, CLOSED],
            ..PLAIN
        }
        Post PostStep {
            summary: "Add a step, or a report file as a step, to a running build",
            right: Right::Continue,
            query: &["report", "started", "name"],
            body: Some("NewStep"),
            answers: &[
                answer(201, "Opened, as the step is running: `Location` is the step"),
                answer(204, "Added; `Location` is the build"),
                STALE,
                ABSENT,
                CLOSED,
                KEY_REUSED,
            ],
        }
        Delete CloseBuild {
            summary: "Close a running build",
            right: Right::Continue,
            body: Some("Closing"),
            answers: &[answer(204, "Finished; `Location` is the build"), STALE, ABSENT, CLOSED],
            ..PLAIN
        }
    }

    /// What is wrong with a build, compared with a baseline.
    Insight(project: Slug, build: BuildKey) = [project / "builds" / build / "insight"] in InBuild(project, build) {
        Get ReadInsight {
            summary: "Read what is wrong with a build, compared with a baseline, and whether its gate passes",
            right: Right::Read,
            query: &["baseline", "gate", "class", "kind", "from", "many", "fields"],
            answers: &[document(200, "Insight", "The insight"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// What is wrong with a commit, in all that reported about it.
    Revision(project: Slug, revision: String) = [project / "revisions" / revision] in InProject(project) {
        Get ReadRevision {
            summary: "Read what is wrong with a commit, in all builds of it, and whether its gate passes",
            right: Right::Read,
            query: &["baseline", "gate", "class", "kind", "from", "many", "fields"],
            answers: &[
                document(200, "Revision", "The insight"),
                answer(302, "The only commit that begins so, at `Location`"),
                UNCHANGED,
                ABSENT,
            ],
            ..PLAIN
        }
    }

    /// The test cases of a build.
    TestList(project: Slug, build: BuildKey) = [project / "builds" / build / "tests"] in InBuild(project, build) {
        Get ListTests {
            summary: "List the build's test cases",
            right: Right::Read,
            query: &["status", "suite", "text", "case_sort", "from", "many"],
            answers: &[document(200, "TestList", "A page of test cases"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// A test case of a build; cases are counted from 0.
    TestCase(project: Slug, build: BuildKey, case: u32) = [project / "builds" / build / "tests" / case] in InBuild(project, build) {
        Get ReadTestCase {
            summary: "Read a test case of the build",
            right: Right::Read,
            answers: &[document(200, "TestRun", "The case"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// Two builds of a project, compared. The last segment tells it from a build, and is not written.
    Comparison(project: Slug, pair: BuildPair) = [project / "builds" / pair / "..."] in InProject(project) {
        Get CompareBuilds {
            summary: "Compare two builds",
            right: Right::Read,
            answers: &[document(200, "Comparison", "What differs"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// A step of a build; steps are counted from 0.
    Step(project: Slug, build: BuildKey, step: u32) = [project / "builds" / build / "steps" / step] in Step(project, build, step) {
        Get ReadStep {
            summary: "Read a step",
            right: Right::Read,
            answers: &[document(200, "StepDocument", "The step"), UNCHANGED, ABSENT],
            ..PLAIN
        }
        Put EndStep {
            summary: "End a running step, with its result and its test cases",
            right: Right::Continue,
            body: Some("NewStep"),
            answers: &[
                answer(200, "It has ended, or the same document ended it before"),
                STALE,
                ABSENT,
                error(409, "Another document ended the step, or it never ran"),
            ],
            ..PLAIN
        }
    }

    /// The log of a step.
    StepLog(project: Slug, build: BuildKey, step: u32) = [project / "builds" / build / "steps" / step / "log"] in StepLog(project, build, step) {
        Get ReadStepLog {
            summary: "Read the log of a step: as text, as JSON with times, or followed as server-sent events",
            right: Right::Read,
            query: &["stream", "from", "to", "follow"],
            answers: &[
                answer(200, "The log"),
                answer(206, "The bytes that `Range` asks for"),
                UNCHANGED,
                ABSENT,
                error(409, "The step has no log to follow: it was sent when it had ended"),
                error(416, "The log has no such bytes"),
            ],
            ..PLAIN
        }
        Post AppendToLog {
            summary: "Append to the log of a running step, at the offset that `Upload-Offset` says",
            right: Right::Continue,
            body: Some("LogPiece"),
            answers: &[
                answer(204, "Appended, or there before: `Upload-Offset` is the end of the log"),
                ABSENT,
                error(409, "The log ends elsewhere, or has another text there: `Upload-Offset` is its end"),
                error(410, "The step has ended"),
            ],
            ..PLAIN
        }
    }

    /// Lines of a build's logs.
    LogSearch(project: Slug, build: BuildKey) = [project / "builds" / build / "search"] in InBuild(project, build) {
        Get SearchLogs {
            summary: "Find lines of the build's logs by their text",
            right: Right::Read,
            query: &["log_text", "regex", "of_step", "context", "log_from", "many"],
            answers: &[document(200, "LogMatches", "The lines"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The standard output of a step.
    StepOutput(project: Slug, build: BuildKey, step: u32) = [project / "builds" / build / "steps" / step / "output"] in InBuild(project, build) {
        Get ReadStepOutput {
            summary: "Read a step's standard output as raw text",
            right: Right::Read,
            query: &["from", "to"],
            answers: &[answer(200, "The text"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The standard error of a step.
    StepErrout(project: Slug, build: BuildKey, step: u32) = [project / "builds" / build / "steps" / step / "errout"] in InBuild(project, build) {
        Get ReadStepErrout {
            summary: "Read a step's standard error as raw text",
            right: Right::Read,
            query: &["from", "to"],
            answers: &[answer(200, "The text"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// A stream of events about a running build.
    Events(project: Slug, build: BuildKey) = [project / "builds" / build / "events"] in InBuild(project, build) {
        Get WatchBuild {
            summary: "Follow a running build: server-sent events for each step and for its end",
            right: Right::Read,
            query: &["from"],
            answers: &[answer(200, "A stream of events"), ABSENT],
            ..PLAIN
        }
    }

    /// The receipt of a build: how its uploads were parsed.
    Receipt(project: Slug, build: BuildKey) = [project / "builds" / build / "receipt"] in InBuild(project, build) {
        Get ReadReceipt {
            summary: "Read the receipt: how the build's uploads were parsed",
            right: Right::Read,
            answers: &[document(200, "Receipt", "The receipt"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// Reparses a build's uploads.
    Reparse(project: Slug, build: BuildKey) = [project / "builds" / build / "receipt" / "reparse"] in Reparse(project, build) {
        Post Reparse {
            summary: "Reparse the build's report files",
            right: Right::Build,
            answers: &[
                document(200, "Receipt", "The new receipt"),
                ABSENT,
                error(409, "No uploads are stored, they are too large to reparse, or the build changed in the meantime"),
                STALE,
                TOO_LARGE,
            ],
            ..PLAIN
        }
    }

    /// The history of a test, by its full name, which may contain slashes.
    TestHistory(project: Slug, test: String) = [project / "tests" / test] in InProject(project) {
        Get ReadTestHistory {
            summary: "List the results of a test over builds, newest first",
            right: Right::Read,
            query: &["of_track", "after", "from", "many"],
            answers: &[document(200, "TestHistory", "A page of runs"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The active tracks of a project.
    TrackList(project: Slug) = [project / "tracks"] in InProject(project) {
        Get ListTracks {
            summary: "List the project's active tracks: which branches and variants report",
            right: Right::Read,
            query: &["track_branch", "track_variant", "from", "many"],
            answers: &[document(200, "TrackList", "The tracks"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// A track with its health.
    Track(project: Slug, track: TrackKey) = [project / "tracks" / track] in Track(project, track) {
        Get ReadTrack {
            summary: "Read a track with its health",
            right: Right::Read,
            answers: &[document(200, "TrackHealth", "The track"), UNCHANGED, ABSENT],
            ..PLAIN
        }
        Put ChangeTrack {
            summary: "Say when builds of a track are expected",
            right: Right::Project,
            body: Some("TrackChange"),
            answers: &[document(200, "TrackHealth", "Changed"), ABSENT, STALE],
            ..PLAIN
        }
    }

    /// The tests of a track.
    TrackTests(project: Slug, track: TrackKey) = [project / "tracks" / track / "tests"] in Track(project, track) {
        Get ListTrackTests {
            summary: "List the tests of a track with what its newest 100 builds tell of them",
            right: Right::Read,
            query: &["only", "text", "test_sort", "from", "many"],
            answers: &[document(200, "TrackTestList", "A page of tests"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The results of a track's tests, by build.
    TrackGrid(project: Slug, track: TrackKey) = [project / "tracks" / track / "grid"] in Track(project, track) {
        Get ReadTrackGrid {
            summary: "Read the results of tests in the newest builds of a track, as a grid",
            right: Right::Read,
            query: &["builds", "grid_only", "text", "from", "many"],
            answers: &[document(200, "TrackGrid", "A page of the grid"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// What equal failures have in common.
    Signature(project: Slug, signature: SignatureId) = [project / "signatures" / signature] in InProject(project) {
        Get ReadSignature {
            summary: "Read where failures with this signature were seen",
            right: Right::Read,
            answers: &[document(200, "Signature", "The signature"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The known issues of a project.
    IssueList(project: Slug) = [project / "issues"] in Issues(project) {
        Get ListIssues {
            summary: "List the project's known issues, newest first",
            right: Right::Read,
            query: &["issue_state", "page", "per_page"],
            answers: &[document(200, "IssueList", "A page of issues"), UNCHANGED, ABSENT],
            ..PLAIN
        }
        Post CreateIssue {
            summary: "Create a known issue: what it fits is explained, and muted if it says so",
            right: Right::Triage,
            body: Some("NewIssue"),
            answers: &[
                document(201, "Issue", "Created, at `Location`"),
                ABSENT,
                error(409, "The project has 1000 open issues, or a concurrent request is taking the username"),
                KEY_REUSED,
            ],
            ..PLAIN
        }
    }

    /// A known issue.
    Issue(project: Slug, issue: Uuid) = [project / "issues" / issue] in Issue(project, issue) {
        Get ReadIssue {
            summary: "Read a known issue",
            right: Right::Read,
            answers: &[document(200, "Issue", "The issue"), UNCHANGED, ABSENT],
            ..PLAIN
        }
        Put ChangeIssue {
            summary: "Change, close or open a known issue",
            right: Right::Triage,
            body: Some("IssueChange"),
            answers: &[
                document(200, "Issue", "Changed"),
                ABSENT,
                error(409, "It would be open, and the project has 1000 open issues"),
                STALE,
            ],
            ..PLAIN
        }
        Delete DeleteIssue {
            summary: "Delete a known issue",
            right: Right::Triage,
            answers: &[answer(204, "Deleted"), ABSENT, STALE],
            ..PLAIN
        }
    }

    /// The tags of a project's builds.
    TagList(project: Slug) = [project / "tags"] in InProject(project) {
        Get ListTags {
            summary: "List the tags of the project's builds",
            right: Right::Read,
            answers: &[document(200, "TagList", "The tags"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The builds of a project that have certain tags.
    Tagged(project: Slug, tags: TagSegment) = [project / "tags" / tags] in Tagged(project, tags) {
        Get ListTagged {
            summary: "List the builds that have all these tags, newest first",
            right: Right::Read,
            query: &BUILDS,
            answers: &[document(200, "BuildList", "A page of builds"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The latest build that has certain tags.
    LatestTagged(project: Slug, tags: TagSegment) = [project / "tags" / tags / "latest"] in Tagged(project, tags) {
        Get FindLatestTagged {
            summary: "Redirect to the latest build that has all these tags",
            right: Right::Read,
            answers: &[REDIRECT, ABSENT],
            ..PLAIN
        }
    }

    /// The badge of the latest build that has certain tags.
    TaggedBadge(project: Slug, tags: TagSegment) = [project / "tags" / tags / "badge.svg"] in Tagged(project, tags) {
        Get ReadTaggedBadge {
            summary: "Read the status of the latest build with these tags as an SVG badge",
            right: Right::Read,
            answers: &[answer(200, "An SVG"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }

    /// The feed of recent builds that have certain tags.
    TaggedFeed(project: Slug, tags: TagSegment) = [project / "tags" / tags / "builds.atom"] in Tagged(project, tags) {
        Get ReadTaggedFeed {
            summary: "Read the recent builds with these tags as an Atom feed",
            right: Right::Read,
            answers: &[answer(200, "A feed"), UNCHANGED, ABSENT],
            ..PLAIN
        }
    }
}
