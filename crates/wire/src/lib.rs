#![doc = include_str!("../README.md")]

pub mod buildkite;
pub mod ctest;
mod part;
pub mod pony;
pub mod reportportal;
mod xml;

pub use part::{Part, tag};

/// A request that cannot be read, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A value is missing or invalid.
    #[error("{name}: {problem}")]
    Bad {
        /// The name of the value.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The body is in a format that this server does not read.
    #[error("{0}")]
    UnknownFormat(String),
}

impl WireError {
    /// An invalid value.
    pub fn bad(name: &'static str, problem: impl Into<String>) -> Self {
        Self::Bad { name, problem: problem.into() }
    }
}
