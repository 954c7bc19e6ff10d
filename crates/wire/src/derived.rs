//! Builds that are made of all that their clients said.

use devmason_domain::Timestamp;
use serde::de::DeserializeOwned;

use crate::{Part, WireError, dci, reportportal};

/// A build that is made of all that its client said.
#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    /// What is said of the build as a whole, with a step if it has only one.
    pub part: Part,
    /// Its other steps, and files.
    pub more: Vec<Part>,
    /// Members of the client record that were taken back.
    pub forgotten: Vec<String>,
    /// Whether it has ended, with all that it consists of.
    pub is_complete: bool,
    /// When it ended.
    pub finished: Timestamp,
    /// Whether all went well.
    pub success: bool,
}

/// Makes a build of the events of its client, as JSON. If `is_final`, nothing follows.
///
/// # Errors
/// They are no events of this protocol, or a name is not valid.
pub fn derive(
    protocol: &str,
    events: &[Vec<u8>],
    is_final: bool,
    received: Timestamp,
) -> Result<Derived, WireError> {
    match protocol {
        dci::PROTOCOL => dci::derive(read(events)?, is_final, received),
        reportportal::PROTOCOL => reportportal::derive(read(events)?, is_final, received),
        other => Err(WireError::bad("protocol", format!("'{other}' has no events"))),
    }
}

fn read<T: DeserializeOwned>(events: &[Vec<u8>]) -> Result<Vec<T>, WireError> {
    let events = events.iter().map(|event| serde_json::from_slice(event));
    let events = events.collect::<Result<_, _>>();
    events.map_err(|error: serde_json::Error| WireError::bad("event", error.to_string()))
}
