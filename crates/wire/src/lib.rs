#![doc = include_str!("../README.md")]

pub mod buildkite;
pub mod codecov;
pub mod ctest;
pub mod dci;
mod derived;
mod json;
mod part;
pub mod pony;
pub mod reportportal;
pub mod resultsdb;
pub mod squad;
pub mod testomat;
mod xml;

pub use derived::{Derived, derive};
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

/// A field of a form.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its name as a file, if it is one.
    pub file: Option<&'a str>,
    /// Its value.
    pub value: &'a [u8],
}
