//! Finding things of all projects by a text.

use devmason_domain::{BuildId, ProjectId};

use crate::Result;

/// Finding things of all projects by a text.
pub trait Search {
    /// The builds whose id begins with this text, at most so many of each project; chosen ids alone are
    /// compared with a text that no id made by the server begins with.
    fn builds_like(
        &self,
        projects: &[ProjectId],
        start: &str,
        limit: u64,
    ) -> Result<Vec<(ProjectId, BuildId)>>;
    /// The full names of tests of these projects that contain this text, in either case of ASCII letters,
    /// at most so many.
    fn tests_like(
        &self,
        projects: &[ProjectId],
        text: &str,
        limit: u64,
    ) -> Result<Vec<(ProjectId, String)>>;
}
