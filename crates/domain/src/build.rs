//! Builds and their steps.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use crate::name::text_value;
use crate::{
    AccountId, BuildKey, Digest, Invalid, JsonObject, ProjectId, TagSet, TestSummary, Timestamp,
    Track, Username, limits,
};

/// A build's id: a UUIDv7 (RFC 9562) that sorts in the order of build lists.
///
/// Lists are sorted by start time, then by arrival. The id contains both, so one index finds a
/// build, sorts a list and serves as the position in a `next` link:
///
/// | bits | meaning |
/// |---|---|
/// | 48 | start time in milliseconds since 1970 (or time of receipt, if the start lies after it) |
/// | 4 | the version, 7 |
/// | 12 | the start's fraction of a millisecond, in 1/4096 (RFC 9562, 6.2, method 3) |
/// | 2 | the variant |
/// | 52 | time of receipt in microseconds since 1970 |
/// | 10 | random |
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildId(pub Uuid);

impl BuildId {
    /// No id precedes this one in any list.
    pub const FIRST: Self = Self(Uuid::max());

    /// Assigns an id to a build with this start time and time of receipt.
    ///
    /// Two ids assigned by one process always differ, and are in order of assignment if the start times
    /// are equal. Ids from different processes may collide, about once in a thousand builds that
    /// started and arrived in the same microsecond. The store reports the collision and the build gets
    /// another id.
    pub fn assign(started: Timestamp, received: Timestamp) -> Self {
        let random = u64::from(Uuid::new_v4().as_bytes()[0]) << 2
            | u64::from(Uuid::new_v4().as_bytes()[1] & 3);
        let fresh = (clamp(received.micros()) << 10 | random) & ((1 << 62) - 1);
        let next = |last: u64| Some(fresh.max(last + 1));
        let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or(0);
        let arrival = fresh.max(last + 1);

        let low = 1 << 63 | arrival & ((1 << 62) - 1);
        Self(Uuid::from_u64_pair(Self::high(started.micros().min(received.micros())), low))
    }

    /// The first id of builds that started at this moment: of earlier ones all are smaller.
    pub fn first_at(started: Timestamp) -> Self {
        Self(Uuid::from_u64_pair(Self::high(started.micros()), 1 << 63))
    }

    /// The half of an id that tells when its build started.
    fn high(micros: i64) -> u64 {
        let start = clamp(micros);
        let (millis, micros) = (start / 1000, start % 1000);
        millis << 16 | 0x7000 | (micros * 4096 / 1000)
    }

    /// Ensures that ids assigned from now on sort after those of builds that arrived up to `latest`,
    /// whichever process assigned them: the clock may have been set back since. Stores know `latest` to
    /// the millisecond.
    pub fn come_behind(latest: Timestamp) {
        LAST.fetch_max((clamp(latest.micros()) + 1000) << 10, Ordering::Relaxed);
    }

    /// The id right before this one in the order of ids, whether a build has it or not.
    pub fn before(self) -> Option<Self> {
        self.0.as_u128().checked_sub(1).map(|number| Self(Uuid::from_u128(number)))
    }

    /// Parses a key as an id; `None` if it isn't the canonical text of one.
    pub fn from_key(key: &BuildKey) -> Option<Self> {
        let id = Uuid::try_parse(key.as_str()).ok()?;
        (id.to_string() == key.as_str()).then_some(Self(id))
    }
}

/// The arrival time and random bits of the last assigned id.
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
    /// An anonymous client.
    Anonymous,
    /// A user; without a name if the user has since been deleted.
    Account(AccountId, Option<Username>),
}

impl Sender {
    /// The name of the user who sent it, if that user still exists.
    pub fn username(&self) -> Option<&Username> {
        match self {
            Self::Anonymous => None,
            Self::Account(_, username) => username.as_ref(),
        }
    }
}

/// Whether a build is still running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// More steps may follow.
    Running,
    /// The build no longer changes.
    Finished,
}

impl State {
    /// The name of this variant.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
        }
    }
}

/// The outcome of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// None yet: the build is still running.
    Running,
    /// The build ended.
    Finished {
        /// Whether the build succeeded.
        success: bool,
        /// When it ended, by the client's clock.
        finished: Timestamp,
    },
}

impl Outcome {
    /// Whether the build is running or finished.
    pub fn state(self) -> State {
        match self {
            Self::Running => State::Running,
            Self::Finished { .. } => State::Finished,
        }
    }
}

text_value! {
    /// A step's display name: at most [`limits::NAME`] bytes, without NUL.
    StepName, |text| {
        if text.contains('\0') {
            return Err(Invalid::new("a step's name may not contain NUL"));
        }
        if text.len() > limits::NAME {
            return Err(Invalid::new(format!("a step's name may have at most {} bytes", limits::NAME)));
        }
        Ok(text.to_owned())
    }
}

/// A step of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The display name.
    pub name: StepName,
    /// Whether it succeeded.
    pub success: bool,
    /// When it started, by the client's clock.
    pub started: Timestamp,
    /// When it ended, by the client's clock.
    pub finished: Timestamp,
    /// Standard output, exactly as sent.
    pub output: String,
    /// Standard error, exactly as sent.
    pub errout: String,
    /// Additional members from the client.
    pub extras: JsonObject,
    /// Number of its test cases that failed or broke. `None` if unknown: its report was cut off, or the
    /// step was stored by a server that did not count them.
    pub bad_cases: Option<u32>,
    /// Whether it has a log of its own, and whether that may still grow.
    pub log: StepLog,
}

impl Step {
    /// Whether the step is running: its result and its end are not known yet.
    pub fn is_running(&self) -> bool {
        self.log == StepLog::Open
    }

    /// Whether it succeeded, and when it ended; `None` while it runs.
    pub fn end(&self) -> Option<(bool, Timestamp)> {
        (!self.is_running()).then_some((self.success, self.finished))
    }
}

/// Where the outputs of a step are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StepLog {
    /// In the step: it was sent when it had ended.
    #[default]
    Absent,
    /// In its log, which grows while the step runs. Until it ends, the step counts as successful and as
    /// ended when it started.
    Open,
    /// In its log. The step has ended.
    Closed,
}

/// A client's description of itself: `host`, `user`, `arch` (strings) and any other members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientRecord(pub JsonObject);

impl ClientRecord {
    /// A record with members that it lacks, and without those that get no value; `None` if that is the
    /// same. Members beyond the limits are left out.
    pub fn with(&self, members: &[(String, Option<String>)]) -> Option<Self> {
        let mut all = self.0.members().unwrap_or_default();
        let before = all.len();
        all.retain(|(known, _)| {
            !members.iter().any(|(name, value)| value.is_none() && name == known)
        });
        let mut is_changed = all.len() != before;
        let size = |name: &str, value: &str| name.len() + value.len() + 8;
        let mut bytes: usize = all.iter().map(|(name, value)| size(name, value.get())).sum();
        for (name, value) in members {
            let Some(value) = value else { continue };
            let mut value = value.clone();
            limits::cut(&mut value, limits::MEMBER_NAME);
            let Ok(value) = serde_json::value::to_raw_value(&value) else { continue };
            let is_there = all.iter().any(|(known, _)| known == name);
            bytes += if is_there { 0 } else { size(name, value.get()) };
            if is_there || bytes > limits::CLIENT || all.len() >= limits::MEMBERS {
                continue;
            }
            all.push((name.clone(), value));
            is_changed = true;
        }
        let record = is_changed.then(|| JsonObject::from_members(&all).ok()).flatten();
        record.map(Self)
    }

    /// Length of the indexed prefix of the host name, in characters. An index entry has a limited size.
    pub const HOST_CHARS: usize = 100;

    /// The indexed prefix of the host name; `None` without a host.
    pub fn host_key(&self) -> Option<String> {
        self.0.member_text("host").map(|host| Self::key_of_host(&host))
    }

    /// The indexed prefix of a host name.
    pub fn key_of_host(host: &str) -> String {
        host.chars().take(Self::HOST_CHARS).collect()
    }
}

/// A client's report of a build, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// When it started, by the client's clock.
    pub started: Timestamp,
    /// When the server received it.
    pub received: Timestamp,
    /// The outcome; `Running` starts an incremental build.
    pub outcome: Outcome,
    /// Its labels.
    pub tags: TagSet,
    /// The client's description of itself.
    pub client: ClientRecord,
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// A fingerprint of the document, to recognize a repeated PUT; a POST needs none.
    pub digest: Option<Digest>,
}

/// How an incremental build is closed. Absent values are derived from the steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Closing {
    /// Overrides the default, which is success if all steps succeeded.
    pub success: Option<bool>,
    /// Overrides the default, which is the latest end of a step.
    pub finished: Option<Timestamp>,
}

/// A stored build, without its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The project it belongs to.
    pub project: ProjectId,
    /// The server's id, in list order.
    pub id: BuildId,
    /// The id that the client chose for URIs, if any.
    pub key: Option<BuildKey>,
    /// Who sent it.
    pub sender: Sender,
    /// When it started, by the client's clock.
    pub started: Timestamp,
    /// When the server received it.
    pub received: Timestamp,
    /// The outcome.
    pub outcome: Outcome,
    /// Its labels.
    pub tags: TagSet,
    /// The client's description of itself.
    pub client: ClientRecord,
    /// The components under test.
    pub components: Vec<Uuid>,
    /// Its track; `None` while a build that an older server stored is being prepared.
    pub track: Option<Track>,
    /// Its commit, if the client record has a valid one.
    pub revision: Option<String>,
    /// Number of steps.
    pub steps: u32,
    /// Number of failed steps.
    pub failed_steps: u32,
    /// A summary of its test cases, if any are reported.
    pub tests: TestSummary,
    /// Total size of the steps' outputs, in bytes.
    pub output_bytes: u64,
    /// When it last changed on the server.
    pub updated_at: Timestamp,
    /// The fingerprint of the document that a PUT sent.
    pub digest: Option<Digest>,
    /// Increases with every change.
    pub version: i64,
}

impl From<BuildId> for BuildKey {
    fn from(id: BuildId) -> Self {
        Self::from_stored(id.to_string())
    }
}

impl Build {
    /// The id in URIs: the client's choice, or else the server's id.
    pub fn key(&self) -> BuildKey {
        self.key.clone().unwrap_or_else(|| self.id.into())
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
            // Arrival order is reversed: the later start arrives first.
            let (later, earlier) = (id(a + b), id(a));
            if b > 0 && a >= 0 {
                prop_assert!(earlier < later);
            }
        }
    }
}
