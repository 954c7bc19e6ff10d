//! Requests of clients that were made for other servers: what all of their protocols stand on.
//!
//! A protocol knows its build by a key of its own. Its first part begins the build, later ones add
//! steps to it, also after its end, and the same part again changes nothing. A build of which nothing
//! is heard for long ends by itself.

pub(crate) mod buildkite;
pub(crate) mod codecov;
pub(crate) mod ctest;
pub(crate) mod dci;
mod form;
pub(crate) mod make;
pub(crate) mod pony;
pub(crate) mod reportportal;
pub(crate) mod resultsdb;
pub(crate) mod silence;
pub(crate) mod squad;
pub(crate) mod testomat;
mod told;

use actix_web::http::header::{self, HeaderValue};
use devmason_domain::{
    Build, BuildKey, ClientRecord, Closing, Digest, Outcome, Project, Report, Slug, State, TagSet,
    Timestamp, Tracking, Viewer, limits,
};
use devmason_repository::{
    Appended, Claim, Closed, ForeignBuild, ForeignKey, Later, NewBuild, NewProject, NewStep,
    Recorded, Registered, Repository, TestReport,
};
use devmason_wire::{Part, WireError};

use crate::auth::{Caller, authenticate};
use crate::budget::Lane;
use crate::call::Call;
use crate::documents::projects::is_user_by_now;
use crate::error::ApiError;
use crate::forwarded::Origin;
use crate::metrics::ClientLabels;
use crate::upload;

/// Memory for a part that is read, as a multiple of its length.
const HELD: usize = 8;

/// The number of runs under one key that are searched for a part.
const RUNS: u32 = 10;

/// The member of a client record that says that a build ended because nothing was heard of it.
pub(crate) const SILENT: &str = "ended_by";

impl From<WireError> for ApiError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Bad { name, problem } => Self::BadValue { name, problem },
            WireError::UnknownFormat(problem) => Self::NotAReport { problem },
        }
    }
}

/// A build that a client of another system reports.
pub(crate) struct Held {
    pub(crate) project: Project,
    pub(crate) foreign: ForeignBuild,
    pub(crate) build: Build,
}

/// Counts a request by its protocol and its client: what the request says of it, else its user agent.
pub(crate) fn count(call: &Call<'_>, protocol: &'static str, client: Option<&str>) {
    let agent = || call.header(header::USER_AGENT)?.split([' ', ';', '(']).next();
    let client = client.or_else(agent).unwrap_or_default().to_owned();
    call.app.metrics.client(ClientLabels { protocol, client });
}

/// The sender of a request whose key is in its body; `None` if it has none there.
async fn caller_with(call: &Call<'_>, key: Option<&str>) -> Result<Option<Caller>, ApiError> {
    let Some(key) = key else { return Ok(None) };
    let odd = |_| ApiError::BadCredentials("the key has characters that no key has");
    let header = HeaderValue::from_str(&format!("Bearer {key}")).map_err(odd)?;
    authenticate(&call.app.door(), Some(&header), &Origin::of(call)).await.map(Some)
}

/// A project to report to, which need not exist yet.
pub(crate) struct Named {
    slug: Slug,
    name: String,
    there: Option<Project>,
}

/// What a project with this name is called in URIs: other characters become `-`. It need not be valid.
pub(crate) fn slug_of(name: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let mut slug: String = name.trim().chars().map(fit).collect();
    slug.truncate(100);
    if !slug.is_empty() && slug.chars().all(|c| c == '-') {
        // Names in other scripts would all be one.
        slug = format!("project-{}", &Digest::of(name.trim().as_bytes()).short()[..8]);
    }
    slug
}

/// The project with this name, if this client may report to it, or register it.
pub(crate) async fn permitted(call: &Call<'_>, name: &str) -> Result<Named, ApiError> {
    let invalid = |problem| ApiError::BadValue { name: "project", problem };
    let slug = slug_of(name).parse();
    let slug: Slug = slug.map_err(|error: devmason_domain::Invalid| invalid(error.0))?;
    if devmason_hypermedia::RESERVED.iter().any(|own| own.eq_ignore_ascii_case(slug.as_str())) {
        return Err(invalid(format!("the name '{}' is reserved by this server", slug.as_str())));
    }
    let policy = &call.app.settings.policy;
    let there = call.find_project(&slug).await?;
    match &there {
        Some(project) => policy.report(call.viewer(), project)?,
        None => policy.register_project(call.viewer())?,
    }
    Ok(Named { slug, name: name.trim().to_owned(), there })
}

/// The same; it must exist.
pub(crate) async fn project(call: &Call<'_>, name: &str) -> Result<Project, ApiError> {
    permitted(call, name).await?.there.ok_or(ApiError::NotFound("project not found"))
}

impl Named {
    /// The project, if it exists.
    pub(crate) fn there(self) -> Option<Project> {
        self.there
    }

    /// The project, registered if it does not exist: call this once the report is known to be good.
    pub(crate) async fn registered(self, call: &Call<'_>) -> Result<Project, ApiError> {
        if let Some(project) = self.there {
            return Ok(project);
        }
        let invalid = |error: devmason_domain::Invalid| ApiError::BadValue {
            name: "project",
            problem: error.0,
        };
        let new = NewProject {
            name: self.name.parse().or_else(|_| self.slug.as_str().parse()).map_err(invalid)?,
            slug: self.slug,
            reporting: call.app.settings.reporting,
            tracking: Tracking::default(),
            repository: None,
            tags: TagSet::default(),
            owner: call.caller.actor()?,
        };
        match call.ask(move |repository| repository.project_register(&new)).await? {
            // A new user is known from now on, which the credentials must be compared with.
            Registered::New(_) if matches!(call.viewer(), Viewer::Stranger(_)) => {
                Err(ApiError::Raced)
            }
            Registered::New(project) => {
                call.app.settings.policy.report(call.viewer(), &project)?;
                Ok(*project)
            }
            Registered::Exists | Registered::UsernameTaken | Registered::NoOwner => {
                Err(ApiError::Raced)
            }
        }
    }
}

/// Runs what reads a body, off the workers that serve connections.
pub(crate) async fn read<T: Send + 'static>(
    call: &Call<'_>,
    read: impl FnOnce(&[u8]) -> Result<T, WireError> + Send + 'static,
) -> Result<T, ApiError> {
    let body = call.body().await?.clone();
    let turn = call.body.turn(call.app, body.len()).await?;
    let hold = call.body.hold.clone();
    call.off_the_workers(move || {
        let _turn = turn;
        hold.draw_blocking(Lane::Work, body.len().saturating_mul(HELD))?;
        Ok(read(&body)?)
    })
    .await
}

/// The newest build under a key, if this client may continue it.
pub(crate) async fn find(
    call: &Call<'_>,
    project: &Project,
    protocol: &'static str,
    key: Digest,
) -> Result<Option<Held>, ApiError> {
    let key = ForeignKey { project: project.id, protocol, key };
    let found = call
        .ask(move |repository| {
            let Some(foreign) = repository.foreign_runs(&key, 1)?.pop() else { return Ok(None) };
            let held = repository.foreign_held(&foreign)?;
            Ok(held.map(|(_, build)| (foreign, build)))
        })
        .await?;
    let Some((foreign, build)) = found else { return Ok(None) };
    may_continue(call, project, &build).await?;
    Ok(Some(Held { project: project.clone(), foreign, build }))
}

/// Fails if this client may not continue a build.
pub(crate) async fn may_continue(
    call: &Call<'_>,
    project: &Project,
    build: &Build,
) -> Result<(), ApiError> {
    match call.app.settings.policy.continue_build(call.viewer(), project, build) {
        // A request that arrived at the same time has created the user, and begun the build.
        Err(_) if is_user_by_now(call).await? => Err(ApiError::Raced),
        may => Ok(may?),
    }
}

/// The id in URIs of the nth build under a key.
fn key_of(protocol: &str, key: Digest, nth: u32) -> Result<BuildKey, ApiError> {
    let text = format!("{protocol}-{}-{nth}", key.short());
    text.parse().map_err(|error: devmason_domain::Invalid| ApiError::Unwritable(error.0))
}

/// Begins the nth build under a key. Requests that arrive at the same time begin the same one.
pub(crate) async fn begin(
    call: &Call<'_>,
    project: &Project,
    key: (&'static str, Digest, u32),
    part: &Part,
) -> Result<Held, ApiError> {
    begin_with(call, project, key, part, Vec::new()).await
}

/// As [`begin`], for a build that tests these components, which exist.
pub(crate) async fn begin_with(
    call: &Call<'_>,
    project: &Project,
    (protocol, key, nth): (&'static str, Digest, u32),
    part: &Part,
    components: Vec<uuid::Uuid>,
) -> Result<Held, ApiError> {
    let invalid = |error: devmason_domain::Invalid| ApiError::Unwritable(error.0);
    let build_key = key_of(protocol, key, nth)?;
    let received = Timestamp::now();
    let started = part.step.as_ref().map_or(received, |step| step.started.min(received));
    let mut tags = part.tags.clone();
    tags.truncate(limits::TAGS);
    let new = NewBuild {
        project: project.id,
        id: devmason_domain::BuildId::assign(started, received),
        key: Some(build_key.clone()),
        sender: call.caller.actor()?,
        report: Report {
            started,
            received,
            outcome: Outcome::Running,
            tags: TagSet::new(tags).map_err(invalid)?,
            client: ClientRecord::default().with(&later(project, part).members).unwrap_or_default(),
            steps: Vec::new(),
            digest: Some(Digest::of_parts([protocol.as_bytes(), &key.0, &nth.to_le_bytes()])),
        },
        variant_by: project.tracking.variant_by.clone(),
        components,
        test_report: TestReport::default(),
        claim: None,
    };
    let recorded = call.app.recorder.record(new, 0, call.body.hold.clone());
    match call.app.store.patiently(recorded).await?? {
        Recorded::New => {
            call.app.metrics.builds.inc();
        }
        Recorded::Known => {}
        Recorded::Differs => {
            return Err(ApiError::Conflict("another build has the key that this one would get"));
        }
        Recorded::NoProject | Recorded::UsernameTaken => return Err(ApiError::Raced),
        Recorded::NoComponent | Recorded::Clash | Recorded::Claimed(_) => {
            return Err(ApiError::Overloaded);
        }
    }
    let key = ForeignKey { project: project.id, protocol, key };
    let (id, ends) = (project.id, silence::end(call.app, received));
    let (foreign, build) = call
        .ask(move |repository| {
            let Some(build) = repository.build_find(id, &build_key)? else { return Ok(None) };
            Ok(Some((repository.foreign_add(&key, nth, build.id, ends)?, build)))
        })
        .await?
        .ok_or(ApiError::Raced)?;
    Ok(Held { project: project.clone(), foreign, build })
}

/// The newest run under a key that has a part with these bytes already.
pub(crate) async fn run_with(
    call: &Call<'_>,
    (project, protocol, key): (&Project, &'static str, Digest),
    part: &Part,
) -> Result<Option<ForeignBuild>, ApiError> {
    let key = ForeignKey { project: project.id, protocol, key };
    let runs = call.ask(move |repository| repository.foreign_runs(&key, RUNS)).await?;
    for run in runs {
        if has(call, &run, part).await? {
            return Ok(Some(run));
        }
    }
    Ok(None)
}

/// Whether a build has a part with these bytes already.
pub(crate) async fn has(
    call: &Call<'_>,
    foreign: &ForeignBuild,
    part: &Part,
) -> Result<bool, ApiError> {
    let Some(digest) = part.receipt.digest.clone() else { return Ok(false) };
    let (project, build) = (foreign.project, foreign.build);
    call.ask(move |repository| repository.part_exists(project, build, &digest)).await
}

/// Adds a part to a build, and says that the build was heard of. A finished build is finished again
/// afterwards if `stays_finished`; else it runs until its end or until nothing is heard of it.
pub(crate) async fn add(
    call: &Call<'_>,
    held: &Held,
    mut part: Part,
    stays_finished: bool,
) -> Result<(), ApiError> {
    upload::not_too_many(call, part.tests.len())?;
    let (project, build, number) = (held.build.project, held.build.id, held.foreign.number);
    let now = Timestamp::now();
    let ends = silence::end(call.app, now);
    // First, so that a build that is opened here ends even if this server does not come to it.
    call.ask(move |repository| repository.foreign_heard(number, Some(ends))).await?;
    tell(call, held, &mut part).await?;
    let was_finished = held.build.outcome.state() == State::Finished;
    let receipt = upload::written(&part.receipt);
    let digest = part.receipt.digest.unwrap_or_default();
    match part.step {
        None => {
            let add = move |repository: &dyn Repository| {
                repository.receipt_add(project, build, &receipt, Some(&digest))
            };
            call.ask(add).await?;
        }
        Some(step) => {
            let claim = Claim {
                scope: Digest::of_parts([
                    b"part".as_slice(),
                    &number.to_le_bytes(),
                    digest.as_bytes(),
                ]),
                body: Digest::of(digest.as_bytes()),
                outcome: String::new(),
            };
            let mut test_report = TestReport {
                receipts: vec![receipt],
                tests: part.tests.into(),
                part: Some(digest),
                ..TestReport::default()
            };
            upload::pack(call, project, &mut test_report).await?;
            if was_finished {
                call.ask(move |repository| repository.build_reopen(project, build, now)).await?;
            }
            let new = NewStep { project, build, step, test_report, claim: Some(claim) };
            append(call, new).await?;
        }
    }
    if was_finished && stays_finished {
        close(call, held, None).await?;
        call.ask(move |repository| repository.foreign_heard(number, None)).await?;
    }
    Ok(())
}

async fn append(call: &Call<'_>, new: NewStep) -> Result<(), ApiError> {
    let bytes = call.received().len();
    let appended = call.app.recorder.append(new, bytes, call.body.hold.clone());
    match call.app.store.patiently(appended).await?? {
        Appended::Done | Appended::Opened(_) => {
            call.app.metrics.steps.inc();
            Ok(())
        }
        // The same part arrived at the same time.
        Appended::Claimed(_) => Ok(()),
        Appended::Full => Err(ApiError::TooMuch {
            problem: format!(
                "a build is limited to {} steps and {} bytes of output",
                limits::BUILD_STEPS,
                limits::OUTPUTS
            ),
        }),
        // It ended in the meantime: another attempt opens it again.
        Appended::Finished | Appended::Gone => Err(ApiError::Raced),
        Appended::Unclear => Err(ApiError::Overloaded),
    }
}

/// Ends a build, at this time or when its last step ended.
pub(crate) async fn close(
    call: &Call<'_>,
    held: &Held,
    finished: Option<Timestamp>,
) -> Result<(), ApiError> {
    let (project, build) = (held.build.project, held.build.id);
    let closing = Closing { finished, ..Closing::default() };
    let close = move |repository: &dyn Repository| {
        repository.build_close(project, build, closing, Timestamp::now())
    };
    match call.ask(close).await? {
        Closed::Done | Closed::Finished => Ok(()),
        Closed::Gone => Err(ApiError::Raced),
    }
}

/// Adds to a build what a part says of it, and takes back that it ended in silence.
pub(crate) async fn tell(call: &Call<'_>, held: &Held, part: &mut Part) -> Result<(), ApiError> {
    let new = part.tags.iter().filter(|tag| !held.build.tags.as_slice().contains(tag)).count();
    if new + held.build.tags.as_slice().len() > limits::TAGS {
        part.dropped(format!("tags beyond {}", limits::TAGS));
    }
    let later = later(&held.project, part);
    let (project, build) = (held.build.project, held.build.id);
    let now = Timestamp::now();
    call.ask(move |repository| repository.build_tell(project, build, &later, now)).await.map(drop)
}

/// What a part says of its build.
fn later(project: &Project, part: &Part) -> Later {
    let said = part.client.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
    Later {
        members: std::iter::once((SILENT.to_owned(), None)).chain(said).collect(),
        tags: part.tags.clone(),
        variant_by: project.tracking.variant_by.clone(),
    }
}
