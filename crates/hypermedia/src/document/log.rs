//! Lines of logs.

use schemars::JsonSchema;
use serde::Serialize;

use crate::Link;

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "LogLine")]
pub struct LogLine {
    /// Its number, from 1.
    pub number: u64,
    /// Its text without its line break and without colours; a very long one is cut.
    pub text: String,
}

/// A line that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "LogMatch")]
pub struct LogMatch {
    /// The index of its step.
    pub step: u32,
    /// The name of its step.
    pub name: String,
    /// The line.
    #[serde(flatten)]
    pub line: LogLine,
    /// The lines before it.
    pub before: Vec<LogLine>,
    /// The lines after it.
    pub after: Vec<LogLine>,
    /// A link to the line on the page of the log.
    pub href: String,
}

/// Lines of a build's logs.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "LogMatches")]
pub struct LogMatchesDocument {
    /// The lines, in order.
    pub matches: Vec<LogMatch>,
    /// Whether the search came to the end of the logs. If not, `next` goes on.
    pub complete: bool,
    /// The links.
    pub links: Vec<Link>,
}
