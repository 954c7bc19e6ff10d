//! Builds and their steps.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use crate::name::text_value;
use crate::{
    AccountId, BuildKey, Digest, Invalid, JsonObject, ProjectId, TagSet, TestSummary, Timestamp,
    Username, limits,
};

/// A build's id: a UUIDv7 (RFC 9562) whose order is the order of build lists.
///
/// Lists are sorted by the time a build started, then by arrival. The id holds both, so that one
/// index finds a build, sorts a list and is the position that a `next` link carries:
///
/// | bits | meaning |
/// |---|---|
/// | 48 | milliseconds since 1970 of the start (or of the receipt, where the start lies after it) |
/// | 4 | the version, 7 |
/// | 12 | the start's fraction of a millisecond, in 1/4096 (RFC 9562, 6.2, method 3) |
/// | 2 | the variant |
/// | 52 | microseconds since 1970 of the receipt |
/// | 10 | random |
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildId(pub Uuid);

impl BuildId {
    /// Ids come before this one in no list.
    pub const FIRST: Self = Self(Uuid::max());

    /// A fresh id for a build that started and was received then.
    ///
    /// Two ids that one process assigns always differ and are in the order of assignment where the
    /// starts are equal. Ids of several processes may clash, about once in a thousand builds that
    /// started and arrived in the same microsecond; a store says so and the build gets another.
    pub fn assign(started: Timestamp, received: Timestamp) -> Self {
        let random = u64::from(Uuid::new_v4().as_bytes()[0]) << 2
            | u64::from(Uuid::new_v4().as_bytes()[1] & 3);
        let fresh = (clamp(received.micros()) << 10 | random) & ((1 << 62) - 1);
        let next = |last: u64| Some(fresh.max(last + 1));
        let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or(0);
        let arrival = fresh.max(last + 1);

        let start = clamp(started.micros().min(received.micros()));
        let (millis, micros) = (start / 1000, start % 1000);
        let high = millis << 16 | 0x7000 | (micros * 4096 / 1000);
        let low = 1 << 63 | arrival & ((1 << 62) - 1);
        Self(Uuid::from_u64_pair(high, low))
    }

    /// Has ids that are assigned from now on come behind those of builds that arrived up to then, wherever these were
    /// assigned: the clock may have been set back since. Stores know that time to the millisecond.
    pub fn come_behind(latest: Timestamp) {
        LAST.fetch_max((clamp(latest.micros()) + 1000) << 10, Ordering::Relaxed);
    }

    /// The id that this key is the text of, if it is one.
    pub fn from_key(key: &BuildKey) -> Option<Self> {
        let id = Uuid::try_parse(key.as_str()).ok()?;
        (id.to_string() == key.as_str()).then_some(Self(id))
    }
}

/// The arrival in the last id that was assigned, and its random bits.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Starts before 1970 sort as 1970.
fn clamp(micros: i64) -> u64 {
    u64::try_from(micros).unwrap_or(0)
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who sent a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    /// Somebody without credentials.
    Anonymous,
    /// A user; without a name where the user was deleted since.
    Account(AccountId, Option<Username>),
}

impl Sender {
    /// The user to credit, if there is one still.
    pub fn username(&self) -> Option<&Username> {
        match self {
            Self::Anonymous => None,
            Self::Account(_, username) => username.as_ref(),
        }
    }
}

/// Whether a build still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Steps are still to come.
    Running,
    /// Nothing changes any more.
    Finished,
}

impl State {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
        }
    }
}

/// What came of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet: steps are still to come.
    Running,
    /// It ended.
    Finished {
        /// Whether the build succeeded.
        success: bool,
        /// When it ended, on the client.
        finished: Timestamp,
    },
}

impl Outcome {
    /// `running` or `finished`.
    pub fn state(self) -> State {
        match self {
            Self::Running => State::Running,
            Self::Finished { .. } => State::Finished,
        }
    }
}

text_value! {
    /// What people call a step: a text of at most [`limits::NAME`] bytes, without NUL.
    StepName, |text| {
        if text.contains('\0') {
            return Err(Invalid::new("a step's name may not contain NUL"));
        }
        if text.len() > limits::NAME {
            return Err(Invalid::new(format!("a step's name has at most {} bytes", limits::NAME)));
        }
        Ok(text.to_owned())
    }
}

/// A part of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name, for people.
    pub name: StepName,
    /// Whether it succeeded.
    pub success: bool,
    /// When it started, on the client.
    pub started: Timestamp,
    /// When it ended, on the client.
    pub finished: Timestamp,
    /// Standard output, exactly as sent.
    pub output: String,
    /// Standard error, exactly as sent.
    pub errout: String,
    /// Members that the client added of its own.
    pub extras: JsonObject,
}

/// What a client says of itself: `host`, `user`, `arch` (strings) and whatever else it likes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientRecord(pub JsonObject);

impl ClientRecord {
    /// How many characters of the host builds are found by: an index has no room for any length.
    pub const HOST_CHARS: usize = 100;

    /// The first characters of the host, as a store keeps them to find builds by; `None` without a host.
    pub fn host_key(&self) -> Option<String> {
        self.0.member_text("host").map(|host| Self::key_of_host(&host))
    }

    /// What of a host builds are found by.
    pub fn key_of_host(host: &str) -> String {
        host.chars().take(Self::HOST_CHARS).collect()
    }
}

/// What a client reports of a build, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// When it started, on the client.
    pub started: Timestamp,
    /// When the server received it.
    pub received: Timestamp,
    /// What came of it; `Running` starts an incremental build.
    pub outcome: Outcome,
    /// Its labels.
    pub tags: TagSet,
    /// What the client says of itself.
    pub client: ClientRecord,
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// A fingerprint of the document, by which a repeated PUT is known; a POST needs none.
    pub digest: Option<Digest>,
}

/// How an incremental build is closed: what is absent follows from the steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Closing {
    /// Overrides the conjunction of the steps' success.
    pub success: Option<bool>,
    /// Overrides the latest end of a step.
    pub finished: Option<Timestamp>,
}

/// A stored build, without its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The project it is about.
    pub project: ProjectId,
    /// The server's id, in list order.
    pub id: BuildId,
    /// The id in URIs that the client chose, if it did.
    pub key: Option<BuildKey>,
    /// Who sent it.
    pub sender: Sender,
    /// When it started, on the client.
    pub started: Timestamp,
    /// When the server received it.
    pub received: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
    /// Its labels.
    pub tags: TagSet,
    /// What the client said of itself.
    pub client: ClientRecord,
    /// The components that it tested.
    pub components: Vec<Uuid>,
    /// How many steps it has.
    pub steps: u32,
    /// How many of them failed.
    pub failed_steps: u32,
    /// What its test cases come to, if any are reported.
    pub tests: TestSummary,
    /// How many bytes their outputs have together.
    pub output_bytes: u64,
    /// When it last changed, here.
    pub updated_at: Timestamp,
    /// The fingerprint of the document that a PUT brought.
    pub digest: Option<Digest>,
    /// Goes up with each change.
    pub version: i64,
}

impl Build {
    /// The id in URIs: the one that the client chose, or else the server's.
    pub fn key(&self) -> String {
        match &self.key {
            Some(key) => key.to_string(),
            None => self.id.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn an_id_is_a_version_7_uuid_of_the_start() {
        let id = BuildId::assign(at("2026-01-02T03:04:05.678901Z"), at("2026-01-02T04:00:00Z")).0;
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanos / 1_000_000), (1_767_323_045, 678));
    }

    #[test]
    fn a_start_after_the_receipt_counts_as_the_receipt() {
        let now = at("2026-01-02T00:00:00Z");
        let wrong_clock = BuildId::assign(at("2099-01-01T00:00:00Z"), now);
        let next = BuildId::assign(at("2026-01-02T00:00:01Z"), at("2026-01-02T00:00:01Z"));
        assert!(wrong_clock < next);
    }

    #[test]
    fn builds_that_started_together_are_in_order_of_arrival() {
        let (start, received) = (at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z"));
        let ids: Vec<_> = (0..5000).map(|_| BuildId::assign(start, received)).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
    }

    proptest! {
        #[test]
        fn ids_are_in_order_of_the_start(a in -1_000_000i64..4_000_000_000_000_000, b in 0i64..2_000_000) {
            let received = at("9000-01-01T00:00:00Z");
            let id = |micros| BuildId::assign(Timestamp::from_parts(micros, 0).unwrap(), received);
            // Arrival is against them: the later start arrives first.
            let (later, earlier) = (id(a + b), id(a));
            if b > 0 && a >= 0 {
                prop_assert!(earlier < later);
            }
        }
    }
}
