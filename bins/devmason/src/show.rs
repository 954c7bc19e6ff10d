//! Commands that read from the server.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use devmason_client::{Document, Error, Session, blocking};
use devmason_domain::TrackKey;
use devmason_hypermedia::Resource;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::files::words;
use crate::settings::Settings;
use crate::verdict::{headline, shown_failure};
use crate::{Problem, print, print_json, print_output, say};

/// How often a running build is polled.
const LOOK: Duration = Duration::from_secs(2);

fn client(settings: &Settings) -> Result<blocking::Client, Problem> {
    Ok(blocking::Client::new(settings.client()?)?)
}

/// Prints a document as JSON, or with the given function.
fn show(
    settings: &Settings,
    document: &Document,
    as_text: impl FnOnce() -> Result<(), Problem>,
) -> Result<u8, Problem> {
    if settings.json { print_json(document) } else { as_text() }.map(|()| 0)
}

/// A build's state, in one word.
fn word(build: &Document) -> &'static str {
    match (build.text("state"), build.0.get("success").and_then(Value::as_bool)) {
        ("running", _) => "running",
        (_, Some(true)) => "success",
        (_, Some(false)) => "failure",
        _ => "unknown",
    }
}

fn joined(value: Option<&Value>) -> String {
    let words = value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    words.collect::<Vec<_>>().join(", ")
}

/// A summary of its cases; empty if there are none.
fn cases(build: &Document) -> String {
    let Some(tests) = build.0.get("tests").filter(|tests| !tests.is_null()) else {
        return String::new();
    };
    let count = |word: &'static str| {
        let count = tests.get(word).and_then(Value::as_u64).unwrap_or(0);
        (usize::try_from(count).unwrap_or(usize::MAX), word)
    };
    words(&["passed", "flaky", "skipped", "failed", "error"].map(count))
}

/// What is still queued of a build, in words.
pub(crate) fn waiting(session: &Session) -> String {
    let (waiting, bytes) = (session.waiting(), session.bytes());
    format!("{}: {waiting} requests, {bytes} bytes", session.about().url())
}

/// What is still queued, as a document.
pub(crate) fn queued(sessions: &[Session]) -> Value {
    let queued = sessions.iter().filter(|session| session.waiting() > 0).map(|session| {
        let about = session.about();
        json!({
            "url": about.url(), "server": about.server, "project": about.project, "build": about.id(),
            "user": about.user, "requests": session.waiting(), "bytes": session.bytes(),
        })
    });
    json!({ "queue": queued.collect::<Vec<_>>() })
}

pub(crate) fn status(settings: &Settings) -> Result<u8, Problem> {
    let client = client(settings)?;
    let user = client.inner().user().map(str::to_owned);
    let server = client.get("/");
    let spool = settings.spool();
    let sessions = spool.as_ref().map(devmason_client::Spool::sessions).unwrap_or_default();
    if settings.json {
        let mut status = queued(&sessions);
        let problem = server.as_ref().err().map(Error::to_string);
        status["server"] = json!({"url": settings.server, "problem": problem});
        status["user"] = json!(user);
        status["spool"] = json!(spool.as_ref().ok().map(|spool| spool.dir().to_string_lossy()));
        status["runs_on"] = json!(settings.place.ci);
        print_json(&Document(status))?;
        return server.map(|_| 0).map_err(Problem::from);
    }
    print(&match &server {
        Ok(_) => format!("server: {}", settings.server),
        Err(error) => format!("server: {error}"),
    })?;
    print(&match &user {
        Some(user) => format!("user: {user}"),
        None => "user: anonymous; sign in with 'devmason login'".to_owned(),
    })?;
    match &spool {
        Ok(spool) => {
            let waiting: u32 = sessions.iter().map(Session::waiting).sum();
            print(&format!("queued: {waiting} requests in {}", spool.dir().display()))?;
            for session in sessions.iter().filter(|session| session.waiting() > 0) {
                print(&format!("  {}", self::waiting(session)))?;
            }
        }
        Err(problem) => print(&format!("queued: unknown: {problem}"))?,
    }
    if let Some(ci) = settings.place.ci {
        print(&format!("CI: {ci}"))?;
    }
    server.map(|_| 0).map_err(Problem::from)
}

/// The maximum number of builds per page.
const PAGE: u32 = 100;

pub(crate) fn builds(
    settings: &Settings,
    (conditions, branch, track): (Option<String>, Option<String>, Option<TrackKey>),
    limit: u32,
) -> Result<u8, Problem> {
    let client = client(settings)?;
    let project = client.project(&settings.project()?)?;
    let list = project.link("build-list").unwrap_or_default();
    let mut conditions: Vec<String> = conditions.into_iter().collect();
    // Quoted as CSV, as a value may contain quotes.
    let pair = |field: &str, value: &str| format!("\"{field}:{}\"", value.replace('"', "\"\""));
    if settings.has_tags_flag {
        conditions.extend(settings.tags.iter().map(|tag| pair("tags", tag)));
    }
    conditions.extend(track.map(|key| pair("track", &key.to_string())));
    conditions.extend(branch.map(|branch| pair("client.branch", &branch)));
    let mut query = format!("?per_page={}", limit.clamp(1, PAGE));
    if !conditions.is_empty() {
        let conditions = conditions.join(",");
        query += &format!("&where={}", utf8_percent_encode(&conditions, NON_ALPHANUMERIC));
    }
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut next = Some(format!("{list}{query}"));
    while let Some(page) = next.filter(|_| left > 0) {
        let mut page = client.get(&page)?;
        if let Some(builds) = page.0.get_mut("builds").and_then(Value::as_array_mut) {
            builds.truncate(left);
            left -= builds.len();
        }
        show(settings, &page, || page.list("builds").iter().try_for_each(line))?;
        next = page.link("next");
    }
    Ok(0)
}

/// Prints a build in a list.
fn line(build: &Document) -> Result<(), Problem> {
    let tags = joined(build.0.get("tags"));
    let (word, tests) = (word(build), cases(build));
    let (id, started) = (build.text("id"), build.text("started"));
    print(&format!("{word:<8} {id}  {started}  {tests}  {tags}"))
}

/// A build by its id; `latest` is the newest.
pub(crate) fn find(
    settings: &Settings,
    client: &blocking::Client,
    id: &str,
) -> Result<Document, Problem> {
    let found = if id == "latest" {
        let project = client.project(&settings.project()?)?;
        client.follow(&project, "latest-build")
    } else {
        let key = id.parse().map_err(|error| Problem::usage(format!("build: {error}")))?;
        client.get(&Resource::Build(settings.project()?, key).path())
    };
    match found {
        // This differs from a build that failed.
        Err(error) if error.status() == Some(404) => Err(Problem::usage(error.to_string())),
        found => Ok(found?),
    }
}

/// Which build to show.
pub(crate) enum Which {
    /// The one with this id.
    Id(String),
    /// The newest of a branch.
    OfBranch(String),
    /// The newest of a track.
    OfTrack(TrackKey),
}

impl Which {
    /// What the arguments name.
    pub(crate) fn of(id: String, branch: Option<String>, track: Option<TrackKey>) -> Self {
        match (branch, track) {
            (Some(branch), _) => Self::OfBranch(branch),
            (None, Some(track)) => Self::OfTrack(track),
            (None, None) => Self::Id(id),
        }
    }
}

/// The build that is meant.
fn chosen(
    settings: &Settings,
    client: &blocking::Client,
    which: &Which,
) -> Result<Document, Problem> {
    let (query, what) = match which {
        Which::Id(id) => return find(settings, client, id),
        Which::OfBranch(branch) => {
            let encoded = utf8_percent_encode(branch, NON_ALPHANUMERIC);
            (format!("branch={encoded}"), format!("branch '{branch}'"))
        }
        Which::OfTrack(key) => (format!("track={key}"), format!("track {key}")),
    };
    let project = client.project(&settings.project()?)?;
    let list = project.link("build-list").unwrap_or_default();
    let found = client.get(&format!("{list}?per_page=1&fields=links&{query}"))?;
    let newest = found.list("builds").into_iter().next();
    let link = newest.and_then(|build| build.link("self"));
    let link = link.ok_or_else(|| Problem::usage(format!("no build of {what}")))?;
    Ok(client.get(&link)?)
}

/// The insight of a build, if the server can say it now; one of an older version has none.
fn insight(client: &blocking::Client, build: &Document, query: &str) -> Option<Document> {
    let link = build.link("insight")?;
    let found = client.get(&format!("{link}{query}"));
    found.map_err(|error| say(&format!("no verdict: {error}"))).ok()
}

pub(crate) fn build(settings: &Settings, which: &Which, output: bool) -> Result<u8, Problem> {
    let client = client(settings)?;
    let build = chosen(settings, &client, which)?;
    let insight = if settings.json { None } else { insight(&client, &build, "") };
    show(settings, &build, || {
        let href = build.link("self").unwrap_or_default();
        if let Some(insight) = &insight {
            print(&headline(insight))?;
        }
        print(&format!("{} {}", word(&build), build.text("id")))?;
        print(&href)?;
        print(&format!("started {}  finished {}", build.text("started"), build.text("finished")))?;
        let tests = cases(&build);
        if !tests.is_empty() {
            print(&format!("tests: {tests}"))?;
        }
        let failures = insight.as_ref().map(|insight| insight.list("failures"));
        for failure in failures.into_iter().flatten() {
            print(&shown_failure(&failure))?;
        }
        for step in build.list("results") {
            let ok = step.0.get("success").and_then(Value::as_bool) == Some(true);
            print(&format!("{:<8} {}", if ok { "ok" } else { "failed" }, step.text("name")))?;
            for text in ["output", "errout"].map(|member| step.text(member)) {
                if output && !text.is_empty() {
                    print_output(text)?;
                }
            }
        }
        Ok(())
    })
}

pub(crate) fn tests(
    settings: &Settings,
    which: &Which,
    status: &[String],
    failed: bool,
) -> Result<u8, Problem> {
    let client = client(settings)?;
    let build = chosen(settings, &client, which)?;
    let Some(tests) = build.link("tests") else {
        return Err(Problem::failed("the build has no test cases"));
    };
    let status = if failed { "failed,error".to_owned() } else { status.join(",") };
    let insight =
        if settings.json { None } else { insight(&client, &build, "?kind=test&per_page=1000") };
    let failures = insight.map(|insight| insight.list("failures")).unwrap_or_default();
    let classes: HashMap<&str, &str> =
        failures.iter().map(|failure| (failure.text("name"), failure.text("class"))).collect();
    let mut next = Some(format!("{tests}?per_page=1000&status={status}"));
    while let Some(page) = next {
        let page = client.get(&page)?;
        show(settings, &page, || {
            page.list("tests").iter().try_for_each(|test| {
                let (status, name) = (test.text("status"), test.text("full_name"));
                let is_bad = matches!(status, "failed" | "error");
                let class = classes.get(name).filter(|_| is_bad);
                let class = class.map(|class| format!("  ({class})")).unwrap_or_default();
                print(&format!("{status:<8} {name}{class}"))?;
                let message = test.0.get("failure").and_then(|failure| failure.get("message"));
                match message.and_then(Value::as_str) {
                    Some(message) => {
                        message.lines().try_for_each(|line| print(&format!("         {line}")))
                    }
                    None => Ok(()),
                }
            })
        })?;
        next = page.link("next");
    }
    Ok(0)
}

pub(crate) fn wait(settings: &Settings, id: &str, timeout: Duration) -> Result<u8, Problem> {
    let client = client(settings)?;
    let deadline = Instant::now() + timeout;
    let mut build = find(settings, &client, id);
    loop {
        match &build {
            Ok(build) if word(build) != "running" => {
                show(settings, build, || print(word(build)))?;
                return Ok(u8::from(word(build) != "success"));
            }
            // The server may be restarting.
            Err(problem) if problem.code != 3 => break,
            _ => {}
        }
        if Instant::now() >= deadline {
            return Err(Problem::later("timed out waiting for the build to finish"));
        }
        std::thread::sleep(LOOK.min(deadline.saturating_duration_since(Instant::now())));
        // Use the build found: `latest` may be another one by now.
        build = match build {
            Ok(build) => match client.follow(&build, "self") {
                Err(error) if error.is_temporary() => Ok(build),
                result => result.map_err(Problem::from),
            },
            Err(_) => find(settings, &client, id),
        };
    }
    build.map(|_| 0)
}

pub(crate) fn tags(settings: &Settings) -> Result<u8, Problem> {
    let client = client(settings)?;
    let project = client.project(&settings.project()?)?;
    let tags = match client.follow(&project, "tag-list") {
        Err(Error::Refused { status: 404, .. }) => return Ok(0),
        result => result?,
    };
    show(settings, &tags, || {
        let names = tags.0.get("tags").and_then(Value::as_array).into_iter().flatten();
        names.filter_map(Value::as_str).try_for_each(print)
    })
}
