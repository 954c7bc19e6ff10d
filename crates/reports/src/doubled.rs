//! Cases whose names occurred before in their report.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::quality::RandomState;

use crate::model::start;
use crate::{Case, Note, NoteKind, Sink};

/// Detects cases with a full name that occurred before; only hashes are kept.
#[derive(Default)]
pub(crate) struct Doubled {
    /// The hash of each full name, with that of the suites of its first case.
    seen: HashMap<u64, u64, RandomState>,
    state: RandomState,
    /// The last hashed suites and their hash.
    suites: Option<(Arc<[String]>, u64)>,
}

impl Doubled {
    /// Registers a case. If its name occurred before, the suite is appended if it differs; otherwise a
    /// note reports the duplicate.
    pub(crate) fn check(&mut self, case: &mut Case, sink: &mut dyn Sink) {
        self.tell_apart(case, "", sink);
    }

    /// The same, with a given text to distinguish the case from others with its name.
    pub(crate) fn tell_apart(&mut self, case: &mut Case, by: &str, sink: &mut dyn Sink) {
        let Some(is_elsewhere) = self.is_again(case) else { return };
        let suite = case.suites.last().filter(|_| is_elsewhere).map_or("", String::as_str);
        let by = if by.is_empty() { suite } else { by };
        if !by.is_empty() {
            case.name = format!("{} [{by}]", case.name);
            if self.is_again(case).is_none() {
                return;
            }
        }
        let text = format!("'{}' appears twice; both are kept", start(&case.name));
        sink.note(Note { line: case.report_line, kind: NoteKind::Doubled, text });
    }

    /// `None` if the name is new; otherwise whether it occurred in other suites.
    fn is_again(&mut self, case: &Case) -> Option<bool> {
        if self.suites.as_ref().is_none_or(|(of, _)| !Arc::ptr_eq(of, &case.suites)) {
            // Most cases have the same suites as the previous one.
            self.suites = Some((case.suites.clone(), self.state.hash_one(&case.suites)));
        }
        let suites = self.suites.as_ref().map_or(0, |(_, hash)| *hash);
        // A case is identified by its class, if it has one, and not by its suites.
        let key = match &case.class {
            Some(class) => self.state.hash_one((class, &case.name)),
            None => self.state.hash_one((suites, &case.name)),
        };
        match self.seen.entry(key) {
            Entry::Occupied(first) => Some(*first.get() != suites),
            Entry::Vacant(vacant) => {
                vacant.insert(suites);
                None
            }
        }
    }
}
