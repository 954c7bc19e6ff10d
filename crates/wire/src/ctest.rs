//! What CTest, and what else submits to CDash, sends: a file for each stage of a build.

mod files;
mod read;

use devmason_domain::{Digest, Timestamp};

use crate::{Part, WireError};

pub use read::read;

/// The name of the protocol.
pub const PROTOCOL: &str = "ctest";

/// What identifies a build: all files of one have the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The machine, as its owner calls it.
    pub site: String,
    /// The name of the build.
    pub build: String,
    /// When it began, and its group: `YYYYMMDD-HHMM-Group`.
    pub stamp: String,
}

impl Identity {
    /// The identity in the name of a file: `site___build___stamp___XML___file`.
    pub fn of_file_name(name: &str) -> Self {
        let mut parts = name.split("___");
        let mut next = || parts.next().unwrap_or_default().to_owned();
        let identity = Self { site: next(), build: next(), stamp: next() };
        if parts.count() < 2 { Self::default() } else { identity }
    }

    /// This identity, with what it lacks from another one.
    pub fn or(self, other: Self) -> Self {
        let or = |own: String, other: String| if own.is_empty() { other } else { own };
        Self {
            site: or(self.site, other.site),
            build: or(self.build, other.build),
            stamp: or(self.stamp, other.stamp),
        }
    }

    /// A digest of all of it.
    ///
    /// # Errors
    /// The site, the build or the stamp is missing.
    pub fn key(&self) -> Result<Digest, WireError> {
        let all = [("site", &self.site), ("build", &self.build), ("stamp", &self.stamp)];
        if let Some((name, _)) = all.into_iter().find(|(_, value)| value.is_empty()) {
            let problem = "is missing: neither the query nor the file has it";
            return Err(WireError::bad(name, problem));
        }
        Ok(Digest::of_parts(all.map(|(_, value)| value.as_bytes())))
    }

    /// The group of the stamp.
    pub fn group(&self) -> Option<&str> {
        self.stamp.splitn(3, '-').nth(2).filter(|group| !group.is_empty())
    }
}

/// What a file is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What changed in the sources.
    Update,
    /// The run of CMake.
    Configure,
    /// The compilation.
    Build,
    /// The tests.
    Test,
    /// How much of the code the tests ran, in total.
    Coverage,
    /// The same, line by line.
    CoverageLog,
    /// What a memory checker found.
    DynamicAnalysis,
    /// Texts.
    Notes,
    /// Files.
    Upload,
    /// The end of the build.
    Done,
}

impl Kind {
    /// The name of the step that a file of this kind becomes, if it becomes one.
    pub fn step(self) -> Option<&'static str> {
        match self {
            Self::Update => Some("update"),
            Self::Configure => Some("configure"),
            Self::Build => Some("build"),
            Self::Test => Some("test"),
            Self::Coverage => Some("coverage"),
            Self::DynamicAnalysis => Some("memcheck"),
            Self::Notes => Some("notes"),
            Self::CoverageLog | Self::Upload | Self::Done => None,
        }
    }

    fn of_element(name: &str) -> Option<Self> {
        Some(match name {
            "Update" => Self::Update,
            "Configure" => Self::Configure,
            "Build" => Self::Build,
            "Testing" | "testsuite" | "testsuites" => Self::Test,
            "Coverage" => Self::Coverage,
            "CoverageLog" => Self::CoverageLog,
            "DynamicAnalysis" => Self::DynamicAnalysis,
            "Notes" => Self::Notes,
            "Upload" => Self::Upload,
            "Done" => Self::Done,
            _ => return None,
        })
    }
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    /// What it is about.
    pub kind: Kind,
    /// What it says of the build's identity.
    pub identity: Identity,
    /// The number of the build, in the file that ends it.
    pub build_number: Option<String>,
    /// When the build ended, in the file that ends it.
    pub ended: Option<Timestamp>,
    /// What it becomes.
    pub part: Part,
}

/// The response to a file that was taken. The words `error` and `warning` must not be in it, so it names
/// nothing but the build's number.
pub fn taken(build_number: i64) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<cdash version=\"1\"><status>OK</status>\
         <message></message><buildId>{build_number}</buildId></cdash>\n"
    )
}

#[cfg(test)]
mod tests;
