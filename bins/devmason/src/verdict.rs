//! The insight of a build, in words.

use devmason_client::Document;
use serde_json::Value;

/// The verdict of a gate: `pass`, `fail` or `undecided`.
pub(crate) fn verdict(insight: &Document) -> &str {
    insight.0.get("gate").and_then(|gate| gate.get("verdict")).and_then(Value::as_str).unwrap_or("")
}

/// The reasons of a verdict, in words.
fn reasons(insight: &Document) -> Vec<&str> {
    let reasons = insight.0.get("gate").and_then(|gate| gate.get("reasons"));
    let reasons = reasons.and_then(Value::as_array).into_iter().flatten();
    reasons.filter_map(|reason| reason.get("text").and_then(Value::as_str)).collect()
}

/// The verdict with its reasons, in a line.
pub(crate) fn headline(insight: &Document) -> String {
    let reasons = reasons(insight).join("; ");
    let verdict = verdict(insight);
    if reasons.is_empty() {
        format!("gate: {verdict}")
    } else {
        format!("gate: {verdict}: {reasons}")
    }
}

/// A failure, in a line.
pub(crate) fn shown_failure(failure: &Document) -> String {
    let name = match failure.text("name") {
        "" => "the build itself",
        name => name,
    };
    let mut line = format!("{:<8} {name}", failure.text("class"));
    let since = failure.0.get("since");
    let builds = since.and_then(|since| since.get("builds")).and_then(Value::as_u64).unwrap_or(0);
    if let Some(build) = since.and_then(|since| since.get("build")).and_then(Value::as_str)
        && builds > 1
    {
        let is_bound = since.and_then(|since| since.get("at_least")) == Some(&Value::Bool(true));
        let at_least = if is_bound { "at least " } else { "" };
        line += &format!("  since {build} ({at_least}{builds} builds)");
    }
    if let Some(flaky) = failure.0.get("flaky").filter(|flaky| !flaky.is_null()) {
        let number = |name| flaky.get(name).and_then(Value::as_u64).unwrap_or(0);
        line += &format!("  flaky {}/{}", number("flakes"), number("runs"));
    }
    for issue in failure.list("known") {
        let effect = match () {
            () if issue.0.get("returned") == Some(&Value::Bool(true)) => "returned",
            () if issue.0.get("mute") == Some(&Value::Bool(true)) => "muted",
            () => "known",
        };
        line += &format!("  {effect}: {}", issue.text("title"));
    }
    match failure.text("message").lines().next() {
        Some(message) => format!("{line}  {message}"),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_failure_names_the_issues_that_explain_it() {
        let known = |mute: bool, returned: bool| {
            let issue = json!({"title": "port", "mute": mute, "returned": returned});
            let failure =
                json!({"class": "new", "name": "a", "known": [issue], "message": "no\nat b"});
            shown_failure(&Document(failure))
        };
        assert_eq!(known(true, false), "new      a  muted: port  no");
        assert_eq!(known(false, false), "new      a  known: port  no");
        assert_eq!(known(true, true), "new      a  returned: port  no");
    }
}
