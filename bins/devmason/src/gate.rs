//! `devmason gate`: may this be merged?

use std::time::{Duration, Instant};

use devmason_client::{Document, blocking, sieve};
use devmason_domain::gate::Gate;
use devmason_domain::insight::Asked;
use devmason_domain::is_revision;
use devmason_hypermedia::Resource;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::cli::{GateFormat, OnOutage};
use crate::settings::Settings;
use crate::show::find;
use crate::verdict::{headline, shown_failure, verdict};
use crate::{Problem, account, print, print_json, say};

/// How often an undecided gate is asked again.
const LOOK: Duration = Duration::from_secs(2);

/// Maximum number of failures that are printed.
const FAILURES: usize = 40;

/// Number of commits of the merge base's line.
const COMMITS: &str = "100";

/// What a gate is asked about.
pub(crate) enum Target {
    Build(String),
    Revision(String),
}

impl Target {
    /// What the arguments name; by default the commit of this checkout.
    pub(crate) fn of(
        settings: &Settings,
        build: Option<String>,
        revision: Option<String>,
    ) -> Result<Self, Problem> {
        match (revision, build.filter(|build| !build.is_empty())) {
            (Some(revision), _) => Ok(Self::Revision(revision)),
            (None, Some(build)) => Ok(Self::Build(build)),
            (None, None) => {
                let record = settings.place.record();
                let commit = record.get("commit").and_then(Value::as_str);
                commit.map(|commit| Self::Revision(commit.to_owned())).ok_or_else(|| {
                    Problem::usage("name a BUILD or a --revision: this is no checkout")
                })
            }
        }
    }
}

/// The rules of a gate, checked.
pub(crate) fn checked(rules: &str) -> Result<&str, Problem> {
    rules.parse::<Gate>().map_err(|error| Problem::usage(format!("--gate: {error}")))?;
    Ok(rules)
}

/// What to ask the gate.
pub(crate) struct Question<'a> {
    pub(crate) target: &'a Target,
    /// Whether no variant may be missing.
    pub(crate) all_variants: bool,
    pub(crate) baseline: Option<&'a str>,
    pub(crate) merge_base: Option<&'a str>,
    pub(crate) rules: Option<&'a str>,
    pub(crate) wait: Duration,
    pub(crate) format: GateFormat,
    pub(crate) on_outage: OnOutage,
}

pub(crate) fn gate(settings: &Settings, question: &Question<'_>) -> Result<u8, Problem> {
    let query = query(question)?;
    match asked(settings, question, &query) {
        Err(problem) if problem.code == 3 && question.on_outage == OnOutage::Pass => {
            say(&format!("warning: {}; passed because of --on-outage pass", problem.text));
            Ok(0)
        }
        Ok(3) if question.on_outage == OnOutage::Pass => {
            say("warning: no verdict in time; passed because of --on-outage pass");
            Ok(0)
        }
        result => result,
    }
}

/// The query of the insight, checked before anything is sent.
fn query(question: &Question<'_>) -> Result<String, Problem> {
    let invalid = |name: &str, problem: &dyn std::fmt::Display| {
        Problem::usage(format!("--{name}: {problem}"))
    };
    if let Some(rules) = question.rules {
        rules.parse::<Gate>().map_err(|error| invalid("rules", &error))?;
    }
    let baseline = match (question.baseline, question.merge_base) {
        (Some(baseline), _) => {
            baseline.parse::<Asked>().map_err(|error| invalid("baseline", &error))?;
            Some(baseline.to_owned())
        }
        (None, Some(reference)) => Some(format!("commit:{}", ancestors(reference)?.join(","))),
        (None, None) => None,
    };
    let every = question.all_variants.then_some("variants:0");
    let rules: Vec<&str> = question.rules.into_iter().chain(every).collect();
    let rules = rules.join(",");
    rules.parse::<Gate>().map_err(|error| invalid("all-variants", &error))?;
    let rules = (!rules.is_empty()).then_some(rules);
    let pairs = [("baseline", baseline), ("gate", rules)];
    let pairs = pairs.into_iter().filter_map(|(name, value)| {
        Some(format!("{name}={}", utf8_percent_encode(&value?, NON_ALPHANUMERIC)))
    });
    let per_page = format!("per_page={FAILURES}");
    Ok(format!("?{}", pairs.chain([per_page]).collect::<Vec<_>>().join("&")))
}

/// The merge base with a branch, and the commits before it on its own line: the client knows them, and
/// the server needs no git.
fn ancestors(reference: &str) -> Result<Vec<String>, Problem> {
    let lines = |arguments: &[&str]| {
        let lines = devmason_client::git(arguments);
        lines.map_err(|error| Problem::usage(format!("--merge-base: {error}")))
    };
    let base = lines(&["merge-base", "--", "HEAD", reference])?;
    let base = base.first().cloned().unwrap_or_default();
    lines(&["rev-list", "--first-parent", "-n", COMMITS, &base])
}

fn asked(settings: &Settings, question: &Question<'_>, query: &str) -> Result<u8, Problem> {
    account::send_queued(settings);
    let client = blocking::Client::new(settings.client()?)?;
    let deadline = Instant::now() + question.wait;
    let mut link = link(settings, &client, question.target);
    let mut seen = None;
    loop {
        let insight = match &link {
            Ok(link) => insight(&client, &format!("{link}{query}"), question.target, &mut seen),
            Err(problem) => Err(Problem { code: problem.code, text: problem.text.clone() }),
        };
        let is_last = Instant::now() >= deadline;
        match insight {
            Ok(insight) if verdict(&insight) != "undecided" || is_last => {
                show(question, &insight)?;
                return Ok(match verdict(&insight) {
                    "pass" => 0,
                    "fail" => 1,
                    _ => 3,
                });
            }
            Ok(_) => {}
            // The server refused the question: it is wrong.
            Err(problem) if problem.code == 1 => return Err(Problem::usage(problem.text)),
            Err(problem) if problem.code != 3 || is_last => return Err(problem),
            // The server may be restarting, or nothing has reported about the commit yet.
            Err(_) => {}
        }
        std::thread::sleep(LOOK.min(deadline.saturating_duration_since(Instant::now())));
        // Keep the build that was found: `latest` may be another one by now.
        if link.is_err() {
            link = self::link(settings, &client, question.target);
        }
    }
}

/// Where the insight is.
fn link(
    settings: &Settings,
    client: &blocking::Client,
    target: &Target,
) -> Result<String, Problem> {
    match target {
        Target::Build(id) => find(settings, client, id)?
            .link("insight")
            .ok_or_else(|| Problem::usage("the server is too old: builds have no insight there")),
        Target::Revision(revision) if !is_revision(revision) => {
            Err(Problem::usage("--revision: a commit has 7 to 64 ASCII letters and digits"))
        }
        Target::Revision(revision) => {
            Ok(Resource::Revision(settings.project()?, revision.clone()).path())
        }
    }
}

/// What the server said last.
struct Seen {
    insight: Document,
    etag: Option<String>,
}

fn insight(
    client: &blocking::Client,
    link: &str,
    target: &Target,
    seen: &mut Option<Seen>,
) -> Result<Document, Problem> {
    let etag = seen.as_ref().and_then(|seen| seen.etag.as_deref());
    match client.get_unless(link, etag) {
        // Its first build may come yet; a project may not.
        Err(error)
            if matches!(target, Target::Revision(_))
                && error.status() == Some(404)
                && error.to_string().contains("commit") =>
        {
            Err(Problem::later(error.to_string()))
        }
        Err(error) if error.status() == Some(404) => Err(Problem::usage(error.to_string())),
        found => {
            if let Some((insight, etag)) = found? {
                *seen = Some(Seen { insight, etag });
            }
            let seen = seen.as_ref().map(|seen| seen.insight.clone());
            seen.ok_or_else(|| {
                Problem::later("the server answered 304 to a request without an ETag")
            })
        }
    }
}

/// The exit code of a command that was reported whole: what its gate makes of it.
pub(crate) fn judged(
    settings: &Settings,
    build: &str,
    rules: &str,
    code: u8,
) -> Result<u8, Problem> {
    let client = blocking::Client::new(settings.client()?)?;
    let rules = match rules {
        "" => String::new(),
        rules => format!("&gate={}", utf8_percent_encode(rules, NON_ALPHANUMERIC)),
    };
    let insight = client.get(&format!("{build}/insight?kind=test&per_page=1{rules}"))?;
    say(&headline(&insight));
    let has_bad_test = !insight.list("failures").is_empty();
    Ok(match (code, verdict(&insight)) {
        (0, "fail") => 1,
        // A command that was killed, or not found, is no failed test.
        (1..126, "pass") if has_bad_test => 0,
        _ => code,
    })
}

fn show(question: &Question<'_>, insight: &Document) -> Result<(), Problem> {
    let failures = insight.list("failures");
    let url = insight.link("self").unwrap_or_default();
    let url = url.split('?').next().unwrap_or_default();
    match question.format {
        GateFormat::Json => print_json(insight),
        GateFormat::Text => {
            print(&headline(insight))?;
            failures
                .iter()
                .take(FAILURES)
                .try_for_each(|failure| print(&shown_failure(failure)))?;
            print(url)
        }
        GateFormat::Markdown => {
            print(&format!("**{}**", cell(&headline(insight))))?;
            if !failures.is_empty() {
                print("")?;
                print("| Class | Failure | Message |")?;
                print("|---|---|---|")?;
            }
            for failure in failures.iter().take(FAILURES) {
                let [class, name, message] =
                    ["class", "name", "message"].map(|name| cell(failure.text(name)));
                let name = if name.is_empty() { "the build itself".to_owned() } else { name };
                print(&format!("| {class} | {name} | {message} |"))?;
            }
            print("")?;
            print(&format!("[All failures]({url})"))
        }
    }
}

/// A text in a cell of a Markdown table: on one line, and nothing in it is markup.
fn cell(text: &str) -> String {
    let mut cell = String::new();
    for c in sieve::line(text).chars() {
        if "\\`*_{}[]()#+!|<>~&@$".contains(c) {
            cell.push('\\');
        }
        cell.push(if c == '\n' { ' ' } else { c });
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_failed_becomes_markup() {
        assert_eq!(cell("a|b <x> [y](z)"), "a\\|b \\<x\\> \\[y\\]\\(z\\)");
    }
}
