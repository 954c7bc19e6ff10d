//! JSON shapes of domain values, used in the schemas of documents.

use std::borrow::Cow;

use devmason_domain::insight::Class;
use devmason_domain::{IssueState, LogStream, Reporting, State, TestStatus, Triage, limits};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::bounded::{Bounded, Distinct};

/// Maximum length in bytes of a text limited only by the body's default limit.
pub(crate) const BODY: usize = 32 << 20;

/// Shapes inlined where they are used.
macro_rules! shapes {
    ($($(#[doc = $doc:literal])+ $name:ident = $schema:tt;)+) => {
        $(
            $(#[doc = $doc])+
            pub(crate) struct $name;

            impl JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }
                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }
                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!($schema)
                }
            }
        )+
    };
}

shapes! {
    /// A date in the resource API.
    Date = {
        "type": "string", "maxLength": 100,
        "description": "RFC 2822, with the client's UTC offset; RFC 3339 is also accepted",
    };
    /// A time in the query API.
    Utc = {"type": "string", "format": "date-time"};
    /// A full URL.
    Href = {"type": "string", "format": "uri"};
    /// The methods that a link allows.
    Methods = {"type": "array", "items": {"enum": ["GET", "POST", "PUT", "DELETE"]}};
    /// A tag.
    Tag = {"type": "string", "minLength": 1, "maxLength": (limits::TAG_CHARS)};
    /// The name of a project, a component or a component type.
    Title = {"type": "string", "minLength": 1, "maxLength": 200};
    /// The status of a test case.
    Status = {"enum": (TestStatus::ALL.map(TestStatus::as_str))};
    /// A branch.
    Branch = {"type": "string", "minLength": 1, "maxLength": 250};
    /// What can fail in a build.
    ItemKind = {"enum": ["test", "step", "build"]};
    /// The class of a failure.
    FailureClass = {"enum": (Class::ALL.map(Class::as_str))};
    /// What a gate says.
    Verdict = {"enum": ["pass", "fail", "undecided"]};
    /// The state of a build.
    BuildState = {"enum": [(State::Running.as_str()), (State::Finished.as_str())]};
    /// The state of a step.
    StepState = {"enum": [(State::Running.as_str()), (State::Finished.as_str())]};
    /// A stream of a log.
    StreamName = {"enum": [(LogStream::Out.as_str()), (LogStream::Err.as_str())]};
    /// Who may report to a project.
    Who = {"enum": (Reporting::ALL.map(Reporting::as_str))};
    /// Who may write the issues of a project.
    Triagers = {"enum": (Triage::ALL.map(Triage::as_str))};
    /// When builds of a track are expected.
    Expected = {"type": "string", "pattern": "^(learned|never|[1-9][0-9]{0,5}[mhd])$"};
    /// The state of an issue.
    IssueStates = {"enum": (IssueState::ALL.map(IssueState::as_str))};
    /// A pattern with `*` and `?`.
    Pattern = {"type": "string", "minLength": 1, "maxLength": 1000};
    /// The id of a signature.
    Signature = {"type": "string", "pattern": "^[0-9a-f]{32}$"};
    /// An address in a tracker.
    WebAddress = {"type": "string", "pattern": "^https?://[A-Za-z0-9]", "maxLength": 2000};
    /// The address of a repository.
    CodeAddress = {
        "type": "string",
        "pattern": r"^((github|gitlab|gitea|bitbucket)\+)?https?://[A-Za-z0-9\[]",
        "maxLength": 2000,
    };
    /// A note.
    Note = {"type": "string", "maxLength": 10000};
    /// A duration.
    Seconds = {"type": "number", "minimum": 0, "description": "Seconds"};
    /// A count.
    Number = {"type": "integer", "minimum": 0, "maximum": (u32::MAX)};
    /// Why a test case failed, broke or was skipped.
    Failure = {
        "type": "object",
        "properties": {
            "type": {"type": ["string", "null"], "maxLength": BODY},
            "message": {"type": ["string", "null"], "maxLength": BODY},
            "text": {"type": ["string", "null"], "maxLength": BODY},
        },
    };
    /// An object with any members.
    Object = {"type": "object", "additionalProperties": true};
}

/// A text of at most `MOST` bytes.
pub(crate) struct Text<const MOST: usize>;

impl<const MOST: usize> JsonSchema for Text<MOST> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // A text has at most as many characters as bytes.
        json_schema!({"type": "string", "maxLength": MOST})
    }
}

impl<T: JsonSchema, const MOST: usize> JsonSchema for Bounded<T, MOST> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Bounded".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array", "maxItems": MOST, "items": generator.subschema_for::<T>(),
        })
    }
}

impl<T: JsonSchema, const MOST: usize> JsonSchema for Distinct<T, MOST> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Distinct".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array", "maxItems": MOST, "items": generator.subschema_for::<T>(),
            "description": "Duplicates are ignored",
        })
    }
}
