//! What is read from the server.

use std::time::{Duration, Instant};

use devmason_client::{Document, Error, blocking};
use devmason_hypermedia::Resource;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::files::words;
use crate::settings::Settings;
use crate::{Problem, print, print_json, print_output};

/// How often a running build is looked at.
const LOOK: Duration = Duration::from_secs(2);

fn client(settings: &Settings) -> Result<blocking::Client, Problem> {
    Ok(blocking::Client::new(settings.client()?)?)
}

/// Prints a document as JSON, or in another way.
fn show(
    settings: &Settings,
    document: &Document,
    as_text: impl FnOnce() -> Result<(), Problem>,
) -> Result<u8, Problem> {
    if settings.json { print_json(document) } else { as_text() }.map(|()| 0)
}

/// How a build stands, in a word.
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

/// What its cases came to; nothing where it has none.
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

pub(crate) fn status(settings: &Settings) -> Result<u8, Problem> {
    let client = client(settings)?;
    let server = client.get("/");
    print(&match &server {
        Ok(_) => format!("server: {}", settings.server),
        Err(error) => format!("server: {error}"),
    })?;
    let spool = settings.spool();
    match &spool {
        Ok(spool) => {
            let sessions = spool.sessions();
            let waiting: u32 = sessions.iter().map(devmason_client::Session::waiting).sum();
            print(&format!("to be sent: {waiting} requests in {}", spool.dir().display()))?;
            for session in sessions.iter().filter(|session| session.waiting() > 0) {
                let about = session.about();
                let (waiting, bytes) = (session.waiting(), session.bytes());
                print(&format!(
                    "  {}{}: {waiting} requests, {bytes} bytes",
                    about.server, about.build
                ))?;
            }
        }
        Err(problem) => print(&format!("to be sent: unknown, {problem}"))?,
    }
    if let Some(ci) = settings.place.ci {
        print(&format!("runs on: {ci}"))?;
    }
    server.map(|_| 0).map_err(Problem::from)
}

pub(crate) fn builds(
    settings: &Settings,
    conditions: Option<&str>,
    limit: u32,
) -> Result<u8, Problem> {
    let client = client(settings)?;
    let project = client.project(&settings.project()?)?;
    let list = project.link("build-list").unwrap_or_default();
    let mut query = format!("?per_page={limit}");
    if let Some(conditions) = conditions {
        query += &format!("&where={}", utf8_percent_encode(conditions, NON_ALPHANUMERIC));
    }
    let builds = client.get(&format!("{list}{query}"))?;
    show(settings, &builds, || {
        builds.list("builds").iter().try_for_each(|build| {
            let tags = joined(build.0.get("tags"));
            print(&format!(
                "{:<8} {}  {}  {}  {}",
                word(build),
                build.text("id"),
                build.text("started"),
                cases(build),
                tags
            ))
        })
    })
}

/// A build by its id; `latest` is the newest.
fn find(settings: &Settings, client: &blocking::Client, id: &str) -> Result<Document, Problem> {
    if id == "latest" {
        let project = client.project(&settings.project()?)?;
        return Ok(client.follow(&project, "latest-build")?);
    }
    let key = id.parse().map_err(|error| Problem::usage(format!("build: {error}")))?;
    Ok(client.get(&Resource::Build(settings.project()?, key).path())?)
}

pub(crate) fn build(settings: &Settings, id: &str, output: bool) -> Result<u8, Problem> {
    let client = client(settings)?;
    let build = find(settings, &client, id)?;
    show(settings, &build, || {
        let href = build.link("self").unwrap_or_default();
        print(&format!("{} {}", word(&build), build.text("id")))?;
        print(&href)?;
        print(&format!("started {}  finished {}", build.text("started"), build.text("finished")))?;
        let tests = cases(&build);
        if !tests.is_empty() {
            print(&format!("tests: {tests}"))?;
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
    id: &str,
    status: &[String],
    failed: bool,
) -> Result<u8, Problem> {
    let client = client(settings)?;
    let build = find(settings, &client, id)?;
    let Some(tests) = build.link("tests") else {
        return Err(Problem::failed("the build has no test cases"));
    };
    let status = if failed { "failed,error".to_owned() } else { status.join(",") };
    let mut next = Some(format!("{tests}?per_page=1000&status={status}"));
    while let Some(page) = next {
        let page = client.get(&page)?;
        show(settings, &page, || {
            page.list("tests").iter().try_for_each(|test| {
                print(&format!("{:<8} {}", test.text("status"), test.text("full_name")))?;
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
            // The server may be starting again.
            Err(problem) if problem.code != 3 => break,
            _ => {}
        }
        if Instant::now() >= deadline {
            return Err(Problem::later("it takes too long"));
        }
        std::thread::sleep(LOOK.min(deadline.saturating_duration_since(Instant::now())));
        // The one that was found: `latest` may be another one by now.
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
