//! What equal failures have in common, and where they were seen.

use devmason_domain::TestFailure;
use schemars::JsonSchema;
use serde::Serialize;

use super::insight::{KnownDocument, OtherProject, PlaceDocument};
use super::shape;
use crate::Link;

/// A failure with a signature.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ExampleDocument {
    /// The build.
    pub build: String,
    /// The position of the test case.
    pub position: u32,
    /// The full name of the test.
    pub full_name: String,
    /// The failure.
    #[schemars(with = "shape::Failure")]
    pub failure: TestFailure,
}

/// How often a test failed with a signature.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct SignatureTest {
    /// The full name of the test.
    pub full_name: String,
    /// Number of failures.
    pub items: usize,
    /// The links.
    pub links: Vec<Link>,
}

/// How often a branch had failures with a signature.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct SignatureBranch {
    /// The branch; empty without one.
    pub branch: String,
    /// Number of failures.
    pub items: usize,
}

/// How often a variant had failures with a signature.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct SignatureVariant {
    /// What was tested.
    pub variant: String,
    /// Number of failures.
    pub items: usize,
}

/// How often a host had failures with a signature.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct SignatureHost {
    /// The host.
    pub host: String,
    /// Number of failures.
    pub items: usize,
}

/// What equal failures have in common, and where they were seen.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Signature")]
pub struct SignatureDocument {
    /// The signature's id.
    pub id: String,
    /// The version of the rules that made it.
    pub version: &'static str,
    /// The failures' type and text, with `#` for what differs.
    pub title: String,
    /// The newest failure.
    pub example: ExampleDocument,
    /// The oldest build that was counted.
    pub first_seen: PlaceDocument,
    /// The newest build.
    pub last_seen: PlaceDocument,
    /// Number of failures that were counted: the newest 200.
    pub counted: usize,
    /// Whether these are all of the project.
    pub complete: bool,
    /// The tests that failed so, those that did most often first; at most 100.
    pub tests: Vec<SignatureTest>,
    /// The branches.
    pub branches: Vec<SignatureBranch>,
    /// The variants.
    pub variants: Vec<SignatureVariant>,
    /// The hosts.
    pub hosts: Vec<SignatureHost>,
    /// Other projects with such failures; at most ten, those with the newest builds first.
    pub projects: Vec<OtherProject>,
    /// The issues that explain some of these failures, or explained them before they were closed.
    pub known: Vec<KnownDocument>,
    /// The links.
    pub links: Vec<Link>,
}
