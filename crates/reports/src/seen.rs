//! What a file is recognized as.

use std::borrow::Cow;

use crate::Format;

/// What the start of a file is recognized as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A supported format.
    Format(Format),
    /// Another known kind of file, by name.
    Foreign(Cow<'static, str>),
    /// An unknown kind of file.
    Nothing,
}

pub(crate) const fn foreign(what: &'static str) -> Seen {
    Seen::Foreign(Cow::Borrowed(what))
}

impl Seen {
    /// A description.
    pub fn words(&self) -> String {
        match self {
            Self::Format(format) => format!("this is a report ({})", format.as_str()),
            Self::Foreign(what) => format!("this is {what}"),
            Self::Nothing => "not a report in a supported format".to_owned(),
        }
    }

    /// Why it is rejected, with the supported formats.
    pub fn refusal(&self) -> String {
        format!("{}; supported formats: {}", self.words(), Format::words())
    }
}
