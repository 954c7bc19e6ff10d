//! Tags.

use devmason_domain::{ProjectId, Tag};

use crate::Result;

/// Tags.
pub trait Tags {
    /// The tags of the project's builds, in byte order, each with its number of builds; the first
    /// 10 000.
    fn tag_list(&self, project: ProjectId) -> Result<Vec<(Tag, u64)>>;
    /// Those of these tags that builds of the project have.
    fn tag_known(&self, project: ProjectId, tags: &[Tag]) -> Result<Vec<Tag>>;
}
