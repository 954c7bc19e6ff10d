//! The fingerprint of a build document. Equivalent documents have equal fingerprints, regardless of
//! formatting.

use std::collections::BTreeMap;

use devmason_domain::{TestResult, Timestamp};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// A hash of a sequence of values, whose boundaries are part of the hash.
#[derive(Default)]
pub(super) struct Fingerprint(Sha256);

impl Fingerprint {
    pub(super) fn digest(self) -> devmason_domain::Digest {
        devmason_domain::Digest(self.0.finalize().into())
    }
    pub(super) fn number(&mut self, n: usize) -> &mut Self {
        self.0.update((n as u64).to_le_bytes());
        self
    }
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len()).0.update(text);
        self
    }
    pub(super) fn flag(&mut self, flag: Option<bool>) -> &mut Self {
        self.number(flag.map_or(2, usize::from))
    }
    pub(super) fn time(&mut self, time: Option<Timestamp>) -> &mut Self {
        match time {
            Some(time) => {
                self.number(1).0.update(time.micros().to_le_bytes());
                self.0.update(time.offset_minutes().to_le_bytes());
                self
            }
            None => self.number(0),
        }
    }
    pub(super) fn test(&mut self, test: &TestResult) {
        let micros = test.micros.map(|micros| micros.to_string()).unwrap_or_default();
        let failure = serde_json::to_string(&test.failure).unwrap_or_default();
        let details = serde_json::to_string(&*test.details).unwrap_or_default();
        for text in [&*test.suite, &test.name, test.status.as_str(), &micros, &failure, &details] {
            self.text(text);
        }
    }
    pub(super) fn members(&mut self, members: &[(String, Box<RawValue>)]) -> &mut Self {
        self.number(members.len());
        let mut members: Vec<_> = members.iter().collect();
        members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (name, value) in members {
            self.text(name).text(&canonical(value.get()));
        }
        self
    }
}

/// Canonical JSON: members sorted by name, no white space, one way to escape. Numbers stay as sent.
pub(super) fn canonical(json: &str) -> String {
    let mut text = String::new();
    write(json, &mut text);
    text
}

fn write(json: &str, text: &mut String) {
    let json = json.trim();
    match json.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> =
                serde_json::from_str(json).unwrap_or_default();
            text.push('{');
            for (at, (name, value)) in members.into_iter().enumerate() {
                text.push_str(if at == 0 { "" } else { "," });
                text.push_str(&Value::String(name).to_string());
                text.push(':');
                write(value.get(), text);
            }
            text.push('}');
        }
        Some(b'[') => {
            let values: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
            text.push('[');
            for (at, value) in values.into_iter().enumerate() {
                text.push_str(if at == 0 { "" } else { "," });
                write(value.get(), text);
            }
            text.push(']');
        }
        Some(b'"') => match serde_json::from_str::<String>(json) {
            Ok(string) => text.push_str(&Value::String(string).to_string()),
            Err(_) => text.push_str(json),
        },
        _ => text.push_str(json),
    }
}
