//! Requests held in memory because the spool cannot store them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use devmason_client::Entry;
use tokio::sync::Notify;

/// The maximum size in bytes of requests held in memory if the spool cannot store them.
const MEMORY: usize = 64 << 20;

#[derive(Default)]
pub(super) struct Memory {
    pub(super) entries: VecDeque<Entry>,
    pub(super) bytes: usize,
    pub(super) lost: u32,
    /// The numbers of the steps that requests in memory opened, by name.
    pub(super) opened: HashMap<String, u32>,
    /// A part of it was refused.
    pub(super) is_incomplete: bool,
    /// The server refused the build: its parts must not be added to the other build with the same id.
    pub(super) is_refused: bool,
    /// Set if waiting for room was in vain, to the number of requests then left.
    pub(super) gave_up: Option<usize>,
}

impl Memory {
    /// Marks the build as refused: nothing more of it can be sent.
    pub(super) fn refuse(&mut self) {
        self.is_refused = true;
        self.lost += u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.clear();
        self.bytes = 0;
    }

    /// Whether there is room for a request. The end of a build is always accepted, and so is a request
    /// when there is no other: it is in memory anyway.
    pub(super) fn has_room(&self, entry: &Entry) -> bool {
        self.entries.is_empty()
            || entry.method == "DELETE"
            || self.bytes + entry.body.len() <= MEMORY
    }
}

/// State shared by the sending and the reporting thread.
#[derive(Default)]
pub(super) struct Shared {
    memory: Mutex<Memory>,
    /// Notifies about new requests.
    pub(super) more: Notify,
}

impl Shared {
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
