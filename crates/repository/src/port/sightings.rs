//! Where failures were seen, by their signatures.

use devmason_domain::{BuildId, BuildKey, ProjectId, SignatureKey, Slug, Timestamp};

use crate::Result;

/// Maximum number of signatures of a report that are kept, and of its texts that are looked at.
pub const SIGNATURES: usize = 10_000;

/// Maximum number of other projects that are told of a signature.
pub const SHARED: usize = 10;

/// The newest finished build of another project where failures with a signature were seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The project's name in URIs.
    pub project: Slug,
    /// The build.
    pub build: BuildKey,
    /// When it started, by the client's clock.
    pub started: Timestamp,
}

/// Which sightings in other projects count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beyond {
    /// Not those of this project.
    pub project: ProjectId,
    /// Only those of builds that started at this moment or later.
    pub since: Option<Timestamp>,
    /// Only those of builds that were sent with credentials.
    pub is_credited: bool,
}

/// Where failures were seen, by their signatures.
pub trait Sightings {
    /// The signatures of a build's failures, at most so many, in the order of their keys.
    fn build_signatures(
        &self,
        project: ProjectId,
        build: BuildId,
        limit: u64,
    ) -> Result<Vec<SignatureKey>>;
    /// The other projects where failures with each of these signatures were seen, at most [`SHARED`] of the
    /// thousand oldest projects that have one, those with the newest builds first.
    fn seen_beyond(&self, signatures: &[SignatureKey], beyond: Beyond) -> Result<Vec<Vec<Shared>>>;
    /// Whether the signatures of all builds of the project are kept: those of builds that an older version
    /// stored are added in the background.
    fn sightings_are_complete(&self, project: ProjectId) -> Result<bool>;
    /// Adds the signatures of some builds of an older version; true while there are more.
    fn sighting_more(&self) -> Result<bool>;
}
