//! The insight of a commit: everything that reported about it.

use schemars::JsonSchema;
use serde::Serialize;

use super::insight::{BaselineDocument, Findings, InsightCounts, ItemDocument, TrackDocument};
use super::shape;
use crate::Link;

/// The insight of a commit.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Revision")]
pub struct RevisionDocument {
    /// The commit.
    pub revision: String,
    /// Whether any of its builds runs.
    #[schemars(with = "shape::BuildState")]
    pub state: &'static str,
    /// Whether nothing is left that failed; null while a build runs.
    pub success: Option<bool>,
    /// Its newest builds, the newest first; at most 100.
    pub builds: Vec<RevisionBuild>,
    /// Its variants, each with its own baseline and verdict.
    pub variants: Vec<VariantDocument>,
    /// The variants that usually report about a commit of the branch it is compared with, and have no
    /// build of this one.
    pub missing_variants: Vec<String>,
    /// Tests that passed in a later build after a failure; at most 100.
    pub passed_on_rerun: Vec<ItemDocument>,
    /// What was found, in all variants.
    #[serde(flatten)]
    pub findings: Findings,
    /// The links.
    pub links: Vec<Link>,
}

impl RevisionDocument {
    /// The names of its members, which `fields` selects.
    pub const MEMBERS: [&'static str; 19] = [
        "revision",
        "state",
        "success",
        "builds",
        "variants",
        "missing_variants",
        "passed_on_rerun",
        "counts",
        "mass_failure",
        "gate",
        "failures",
        "clusters",
        "new_flaky",
        "fixed",
        "missing",
        "skipped",
        "added",
        "slower",
        "window",
    ];
}

/// A build of a commit.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RevisionBuild {
    /// Its id in URIs.
    pub id: String,
    /// Its track.
    pub track: Option<TrackDocument>,
    /// Whether it runs.
    #[schemars(with = "shape::BuildState")]
    pub state: &'static str,
    /// Whether it succeeded; null while it runs.
    pub success: Option<bool>,
    /// Whether later builds of its variant ran all that it ran, so that nothing of it counts.
    pub superseded: bool,
}

/// A variant of a commit.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VariantDocument {
    /// What is tested.
    pub variant: String,
    /// Whether any of its builds runs.
    #[schemars(with = "shape::BuildState")]
    pub state: &'static str,
    /// What it is compared with.
    pub baseline: BaselineDocument,
    /// Its verdict.
    #[schemars(with = "shape::Verdict")]
    pub verdict: &'static str,
    /// Its numbers.
    pub counts: InsightCounts,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_but_the_links_can_be_asked_for() {
        let schema = schemars::schema_for!(RevisionDocument);
        let members = schema.get("properties").and_then(|members| members.as_object());
        let mut names: Vec<_> = members.into_iter().flat_map(|members| members.keys()).collect();
        names.retain(|name| *name != "links");
        let mut known = RevisionDocument::MEMBERS.to_vec();
        names.sort();
        known.sort();
        assert_eq!(names, known);
    }
}
