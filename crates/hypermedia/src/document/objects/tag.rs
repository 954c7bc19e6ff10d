//! Tags in the query API.

use devmason_domain::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{shape, utc};

/// A tag of a project, with the number of its builds that have it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TagObject")]
pub struct TagObject<'a> {
    id: String,
    name: &'a str,
    project: &'a str,
    builds: u64,
    #[serde(serialize_with = "utc")]
    #[schemars(with = "shape::Utc")]
    created_at: Timestamp,
    #[serde(serialize_with = "utc")]
    #[schemars(with = "shape::Utc")]
    updated_at: Timestamp,
    etag: String,
}

impl<'a> TagObject<'a> {
    /// A tag with its ETag, the time a build first had it, and the time one was last added or removed.
    pub fn new(
        name: &'a str,
        project: &'a str,
        builds: u64,
        (created_at, updated_at): (Timestamp, Timestamp),
        etag: String,
    ) -> Self {
        Self {
            id: format!("{project}/{name}"),
            name,
            project,
            builds,
            created_at,
            updated_at,
            etag,
        }
    }
}
