//! How the map describes an operation: its summary, parameters, permissions and responses.

use crate::Method;

/// An operation of a resource, as `/openapi.json` describes it.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// A short summary.
    pub summary: &'static str,
    /// Who may do it.
    pub right: Right,
    /// The names of its query parameters.
    pub query: &'static [&'static str],
    /// The name of the schema of its request body.
    pub body: Option<&'static str>,
    /// Its responses, in addition to those implied by its right and those of any operation.
    pub answers: &'static [Answer],
}

/// A response of an operation.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The name of the schema of the response body; `None` if the body is empty or isn't JSON.
    pub schema: Option<&'static str>,
    /// The meaning.
    pub meaning: &'static str,
}

/// Who may perform an operation. The domain's policy decides for each client; this describes the
/// rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Anyone; credentials are ignored.
    Open,
    /// Anyone; the response depends on the credentials.
    SignIn,
    /// Anyone who may read.
    Read,
    /// A new project: anyone who may register projects. An existing one: its owner and administrators.
    Project,
    /// Anyone who may report to the project.
    Report,
    /// Anyone, of a build that was started anonymously; otherwise as [`Right::Build`].
    Continue,
    /// The user who sent the build, the project's owner and administrators.
    Build,
    /// The project's owner and administrators, or any user where the project says so.
    Triage,
    /// That user alone.
    Oneself,
    /// The user and administrators.
    User,
    /// Signed-in users; anonymous clients as well while registration is open.
    Create,
    /// Administrators.
    Administrator,
    /// The object's creator and administrators; anyone, of an object that was created anonymously, while
    /// registration is open.
    Object,
}

impl Right {
    /// The right as a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Open => "Open to anyone; credentials are ignored.",
            Self::SignIn => "Open to anyone.",
            Self::Read => {
                "Requires permission to read: everyone, unless the server limits reading to signed-in users."
            }
            Self::Project => {
                "New project: anyone allowed to create projects on this server. Existing project: its owner and administrators."
            }
            Self::Report => "Requires permission to report to the project.",
            Self::Continue => {
                "The user who started the build, the project's owner and administrators; anyone if it was started anonymously."
            }
            Self::Build => {
                "The user who reported the build, the project's owner and administrators."
            }
            Self::Triage => {
                "The project's owner and administrators; any user where the project's `triage` says so."
            }
            Self::Oneself => "That user alone.",
            Self::Administrator => "Administrators.",
            Self::User => "The user and administrators.",
            Self::Create => {
                "Signed-in users; anonymous clients as well while registration is open."
            }
            Self::Object => {
                "The object's creator and administrators; anyone if it was created anonymously and registration is open."
            }
        }
    }
}

/// A resource's row in the map: its pattern and its operations.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its path, with variable segments in braces.
    pub pattern: &'static str,
    /// Its methods.
    pub methods: &'static [Method],
    /// Its operations, in the order of its methods.
    pub operations: &'static [Description],
}

/// A response without a body, or with one that isn't JSON.
pub(crate) const fn answer(status: u16, meaning: &'static str) -> Answer {
    Answer { status, schema: None, meaning }
}

/// A response with a document.
pub(crate) const fn document(status: u16, schema: &'static str, meaning: &'static str) -> Answer {
    Answer { status, schema: Some(schema), meaning }
}

/// An error response.
pub(crate) const fn error(status: u16, meaning: &'static str) -> Answer {
    document(status, "Error", meaning)
}
