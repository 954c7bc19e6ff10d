//! `devmason gate`: may this be merged?

use std::time::{Duration, Instant};

use devmason_client::{Document, blocking, sieve};
use devmason_domain::gate::Gate;
use devmason_domain::insight::Asked;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

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

/// What to ask the gate.
pub(crate) struct Question<'a> {
    pub(crate) build: &'a str,
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
    let pairs = [("baseline", baseline), ("gate", question.rules.map(str::to_owned))];
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
    let mut build = find(settings, &client, question.build);
    loop {
        let insight = match &build {
            Ok(build) => insight(&client, build, query),
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
            // The server may be restarting.
            // The server refused the question: it is wrong.
            Err(problem) if problem.code == 1 => return Err(Problem::usage(problem.text)),
            Err(problem) if problem.code != 3 || is_last => return Err(problem),
            Err(_) => {}
        }
        std::thread::sleep(LOOK.min(deadline.saturating_duration_since(Instant::now())));
        // Keep the build that was found: `latest` may be another one by now.
        if build.is_err() {
            build = find(settings, &client, question.build);
        }
    }
}

fn insight(client: &blocking::Client, build: &Document, query: &str) -> Result<Document, Problem> {
    let link = build
        .link("insight")
        .ok_or_else(|| Problem::usage("the server is too old: builds have no insight there"))?;
    Ok(client.get(&format!("{link}{query}"))?)
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
