//! Forms: their fields, and what is shown of one that was refused.

use askama::Template;
use devmason_domain::{Project, Reporting, Tag};

use super::Page;
use crate::site::Site;
use crate::text::cut;

/// A form of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A project to register.
    Registration,
    /// The settings of a project.
    Settings,
    /// When builds of a track are expected.
    Expected,
    /// A known issue.
    Issue,
    /// A new password.
    Password,
    /// What is typed to confirm a deletion.
    Deletion,
}

/// How a field is filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A line of so many characters at most.
    Line(usize),
    Url,
    Date,
    Password(&'static str),
    /// So many lines at first, of so many characters at most.
    Lines(usize, usize),
    /// One of these values, each with a text.
    Choice(&'static [(&'static str, &'static str)]),
}

/// A field of a form.
#[derive(Debug)]
pub(super) struct Field {
    /// Its name in the request.
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
    pub(super) value: String,
    /// Why its value was refused.
    pub(super) problem: String,
}

const REPORTERS: [(&str, &str); 3] =
    [("anyone", "anyone"), ("authenticated", "users"), ("owner", "the owner and administrators")];
const TRIAGERS: [(&str, &str); 2] =
    [("owner", "the owner and administrators"), ("authenticated", "users")];

/// Who may post builds, in words.
pub(super) fn reporters(reporting: Reporting) -> &'static str {
    let of_it = REPORTERS.iter().find(|(who, _)| *who == reporting.as_str());
    of_it.map_or("", |(_, text)| text)
}

/// Name, label, kind, whether it is required.
type Row = (&'static str, &'static str, Kind, bool);

const REGISTRATION: &[Row] =
    &[("_slug", "Name in URLs", Kind::Line(100), true), ("name", "Name", Kind::Line(200), true)];
const SETTINGS: &[Row] = &[
    ("name", "Name", Kind::Line(200), true),
    (
        "repository",
        "Repository: its address makes links of commits, branches, changes and files. Where the host's name does not tell what serves it, gitlab+, gitea+, github+ or bitbucket+ stands before it",
        Kind::Line(2_000),
        false,
    ),
    (
        "tags",
        "Tags, separated by commas: the list of projects can be grouped by them",
        Kind::Line(12_000),
        false,
    ),
    ("reporting", "Who may post builds", Kind::Choice(&REPORTERS), false),
    ("triage", "Who may write known issues", Kind::Choice(&TRIAGERS), false),
    (
        "mainline",
        "Mainline: the branch that others are compared with; if empty, the first of main, master and trunk that has a build",
        Kind::Line(250),
        false,
    ),
    (
        "variant_by",
        "What a build's variant consists of, one per line: tags, tags:PATTERN or client.MEMBER",
        Kind::Lines(3, 10_000),
        false,
    ),
    (
        "gate",
        "Limits of the gate that differ from the usual ones, such as new:0,missing:5%",
        Kind::Line(1_000),
        false,
    ),
];
const EXPECTED: &[Row] = &[(
    "expected",
    "Builds are expected: learned, never, or within a time such as 26h",
    Kind::Line(20),
    true,
)];
const ISSUE: &[Row] = &[
    ("title", "Title", Kind::Line(200), true),
    (
        "match.test",
        "Test or step that fails; * and ? stand for any text and any character",
        Kind::Line(1_000),
        false,
    ),
    ("match.message", "Message of the failure", Kind::Line(1_000), false),
    ("match.signature", "Signature of the failure", Kind::Line(32), false),
    ("match.branch", "Branch", Kind::Line(1_000), false),
    ("match.variant", "Variant", Kind::Line(1_000), false),
    ("url", "Address in a tracker", Kind::Url, false),
    ("note", "Note", Kind::Lines(4, 10_000), false),
    ("expires", "Ends on (UTC)", Kind::Date, false),
];
const PASSWORD: &[Row] = &[
    ("_old_password", "Current password", Kind::Password("current-password"), true),
    ("password", "New password", Kind::Password("new-password"), true),
];
const DELETION: &[Row] = &[("_confirm", "To confirm, type the name", Kind::Line(100), true)];

/// The names of the fields in which somebody signs in whose session has ended.
pub const SIGN_IN: [&str; 2] = ["_session_username", "_session_password"];

/// What stands before a form of a session that has ended.
const RENEWAL: &[Row] = &[
    (SIGN_IN[0], "Username", Kind::Line(150), true),
    (SIGN_IN[1], "Password", Kind::Password("current-password"), true),
];

/// Fields with these values, by name.
fn filled(rows: &[Row], value: impl Fn(&str) -> String) -> Vec<Field> {
    let field = |(name, label, kind, is_required): &Row| Field {
        name,
        label,
        kind: *kind,
        is_required: *is_required,
        value: if matches!(kind, Kind::Password(_)) { String::new() } else { value(name) },
        problem: String::new(),
    };
    rows.iter().map(field).collect()
}

impl Form {
    fn rows(self) -> &'static [Row] {
        match self {
            Self::Registration => REGISTRATION,
            Self::Settings => SETTINGS,
            Self::Expected => EXPECTED,
            Self::Issue => ISSUE,
            Self::Password => PASSWORD,
            Self::Deletion => DELETION,
        }
    }

    /// The fields with these values, by name.
    pub(super) fn filled(self, value: impl Fn(&str) -> String) -> Vec<Field> {
        filled(self.rows(), value)
    }
}

impl Field {
    /// Its id on the page.
    pub(super) fn id(&self) -> &'static str {
        let name = self.name.trim_start_matches('_');
        name.rsplit('.').next().unwrap_or(name)
    }

    /// Whether an error about a member, such as `variant_by[0]`, is about this field.
    fn is_named_by(&self, member: &str) -> bool {
        let rest = member.strip_prefix(self.name);
        let words = match self.name {
            "_slug" => "name in URLs",
            "_confirm" => "confirmation",
            "_old_password" => "current password",
            _ => return rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.'])),
        };
        member == words
    }
}

/// The fields of a project's settings.
pub(super) fn settings(project: &Project) -> Vec<Field> {
    let tracking = &project.tracking;
    Form::Settings.filled(|name| match name {
        "name" => project.name.to_string(),
        "repository" => project.repository.as_ref().map(ToString::to_string).unwrap_or_default(),
        "tags" => project.tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(", "),
        "reporting" => project.reporting.as_str().to_owned(),
        "triage" => tracking.triage.as_str().to_owned(),
        "mainline" => tracking.mainline.clone().unwrap_or_default(),
        "variant_by" => {
            let parts: Vec<String> = tracking.variant_by.iter().map(ToString::to_string).collect();
            parts.join("\n")
        }
        _ => tracking.gate.to_string(),
    })
}

/// A form that was refused, with what was typed.
#[derive(Template)]
#[template(path = "refused.html")]
pub struct RefusedForm<'a> {
    site: Site<'a>,
    problem: &'a str,
    action: String,
    fields: Vec<Field>,
    /// What was sent besides the fields.
    hidden: Vec<(&'a str, &'a str)>,
}

impl<'a> RefusedForm<'a> {
    /// A form that was sent to `action` with these values, and why it was refused; the error may name a
    /// member.
    pub fn new(
        site: Site<'a>,
        (form, action): (Form, String),
        sent: &'a [(String, String)],
        (problem, member): (&'a str, Option<&str>),
    ) -> Self {
        let value = |name: &str| {
            let found = sent.iter().find(|(given, _)| given == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let mut fields = form.filled(value);
        // The most specific name counts.
        let wrong = member.and_then(|member| {
            let named = fields.iter_mut().filter(|field| field.is_named_by(member));
            named.max_by_key(|field| field.name.len())
        });
        if let Some(field) = wrong {
            field.problem = cut(problem, 1_000).into_owned();
        }
        if site.token.is_none() {
            fields.splice(0..0, filled(RENEWAL, value));
        }
        let is_hidden = |name: &str| {
            name != "_token"
                && !SIGN_IN.contains(&name)
                && !fields.iter().any(|field| field.name == name)
        };
        let hidden = sent.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let hidden =
            hidden.filter(|(name, value)| is_hidden(name) && value.len() <= 1_000).take(20);
        Self { hidden: hidden.collect(), site, problem, action, fields }
    }
}

impl Page for RefusedForm<'_> {
    fn title(&self) -> String {
        "Not saved".to_owned()
    }
    fn summary(&self) -> String {
        self.problem.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use devmason_domain::Triage;

    use super::*;

    #[test]
    fn the_words_of_who_may_do_what_are_those_of_the_settings() {
        assert_eq!(REPORTERS.map(|(who, _)| who), Reporting::ALL.map(Reporting::as_str));
        assert_eq!(TRIAGERS.map(|(who, _)| who), Triage::ALL.map(Triage::as_str));
    }

    #[test]
    fn an_error_is_shown_at_the_field_that_it_names() {
        let field = |form: Form, member: &str| {
            let fields = form.filled(|_| String::new());
            fields.iter().find(|field| field.is_named_by(member)).map(|field| field.name)
        };
        assert_eq!(field(Form::Settings, "variant_by[1]"), Some("variant_by"));
        assert_eq!(field(Form::Registration, "name in URLs"), Some("_slug"));
        assert_eq!(field(Form::Registration, "name"), Some("name"));
        assert_eq!(field(Form::Issue, "match.test"), Some("match.test"));
        assert_eq!(field(Form::Settings, "names"), None);
    }
}
