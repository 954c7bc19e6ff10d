//! The stored form of test cases, and of logs.
//!
//! A build's cases are stored as strips: pieces of its list, in order, each packed as columns and
//! compressed. A strip has a body, which is all that counts, histories and brief lists need, and
//! the details of those cases that have any. A test is a number here; its name is stored elsewhere,
//! once.
//!
//! The log of a step is stored as pieces, each of which holds what was written, with times and streams.
//!
//! Packing and unpacking are pure. Stored bytes that were not made by [`Packer`] give [`Corrupt`],
//! never a panic, and take no more memory than a strip may.

mod body;
mod bytes;
mod details;
mod log;
mod waiting;

use devmason_domain::{TestResult, TestStatus};

pub use body::{Body, Packed, unpack};
pub use details::unpack_details;
pub use log::{PIECE, log_pieces, pack_log, unpack_log};
pub use waiting::WaitingCases;

/// Maximum number of cases of a strip. A page of cases unpacks one strip or two, so its cost is that
/// of this many cases, however many a build has.
pub const CASES: usize = 4_096;

/// Maximum size of a strip's details, before they are compressed, unless a single case has more.
pub const DETAILS: usize = 1 << 20;

/// Identifies a failure, which many cases may share.
pub type FailureKey = [u8; 16];

/// Bytes that are no strip, or no piece of a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a strip of test cases, or a piece of a log: {0}")]
pub struct Corrupt(&'static str);

/// A packed piece of a build's list of cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strip {
    /// Number of cases.
    pub cases: u32,
    /// How many of them are bad: failed or broken.
    pub bad: u32,
    /// The least number of a test in it.
    pub low: i64,
    /// The greatest.
    pub high: i64,
    /// What every case says.
    pub body: Vec<u8>,
    /// What only some cases say; `None` if none does.
    pub details: Option<Vec<u8>>,
}

/// Packs cases into strips.
#[derive(Default)]
pub struct Packer {
    done: Vec<Strip>,
    body: body::Columns,
    details: details::Columns,
}

impl Packer {
    /// Appends a case of the test with this number.
    pub fn push(&mut self, test: i64, result: &TestResult, failure: Option<&FailureKey>) {
        // Not only once it is full: the details of a strip are unpacked together, so those of a case
        // that says little should not lie behind a very long output.
        if self.body.len() == CASES || !self.details.has_room_for(&result.details) {
            self.cut();
        }
        let has_details = self.details.push(&result.details);
        self.body.push(test, result, failure, has_details);
    }

    /// The strips of all cases, in order.
    pub fn finish(mut self) -> Vec<Strip> {
        self.cut();
        self.done
    }

    fn cut(&mut self) {
        let details = std::mem::take(&mut self.details);
        if self.body.len() > 0 {
            self.done.push(std::mem::take(&mut self.body).pack(details.pack()));
        }
    }
}

/// A status as a number.
fn number(status: TestStatus) -> u8 {
    match status {
        TestStatus::Passed => 0,
        TestStatus::Flaky => 1,
        TestStatus::Skipped => 2,
        TestStatus::Failed => 3,
        TestStatus::Error => 4,
    }
}

fn status(number: u8) -> Option<TestStatus> {
    TestStatus::ALL.get(usize::from(number)).copied()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use devmason_domain::{TestDetails, TestFailure};
    use proptest::prelude::*;

    use super::*;

    fn details() -> impl Strategy<Value = TestDetails> {
        let file = proptest::option::of("(a|b|src/ü)[.]py");
        let properties = proptest::collection::vec((".{0,3}", ".{0,3}"), 0..3);
        (".{0,9}", "[\u{0}a]{0,2}", properties, 0..3u32, file, proptest::option::of(any::<u32>()))
            .prop_map(|(stdout, stderr, properties, retries, file, line)| TestDetails {
                stdout,
                stderr,
                properties,
                retries,
                file,
                line,
            })
    }

    pub(crate) fn case() -> impl Strategy<Value = (i64, TestResult, Option<FailureKey>)> {
        let micros = prop_oneof![
            any::<Option<u64>>(),
            (0..9u64).prop_map(|n| Some(n * 1000)),
            (0..9u64).prop_map(|n| Some(n * 7)),
        ];
        let details = proptest::option::weighted(0.3, details());
        let key = proptest::option::of((0..3u8).prop_map(|n| [n; 16]));
        (prop_oneof![1..9i64, any::<i64>()], 0..5usize, micros, details, key).prop_map(
            |(test, at, micros, details, key)| {
                let result = TestResult {
                    suite: "".into(),
                    name: String::new(),
                    status: TestStatus::ALL[at],
                    micros,
                    failure: key.map(|_| TestFailure::default()),
                    details: details.unwrap_or(TestDetails::NONE).into(),
                };
                (test, result, key)
            },
        )
    }

    fn pack(cases: &[(i64, TestResult, Option<FailureKey>)]) -> Vec<Strip> {
        let mut packer = Packer::default();
        cases.iter().for_each(|(test, result, key)| packer.push(*test, result, key.as_ref()));
        packer.finish()
    }

    proptest! {
        #[test]
        fn cases_come_back_as_they_went_in(cases in proptest::collection::vec(case(), 0..60)) {
            let mut found = Vec::new();
            for strip in pack(&cases) {
                let body = unpack(&strip.body).unwrap();
                let details = strip.details.map_or(Vec::new(), |all| unpack_details(&all).unwrap());
                prop_assert_eq!(body.len(), strip.cases as usize);
                let bad = body.cases().filter(|case| case.status.is_bad()).count();
                prop_assert_eq!(bad, strip.bad as usize);
                prop_assert_eq!(body.tests().iter().min(), Some(&strip.low));
                prop_assert_eq!(body.tests().iter().max(), Some(&strip.high));
                found.extend(body.cases().map(|case| {
                    let of_it = case.details.map_or(TestDetails::NONE, |at| details[at as usize].clone());
                    (case.test, case.status, case.micros, case.failure, of_it)
                }));
            }
            let sent = cases.into_iter().map(|(test, result, key)| {
                (test, result.status, result.micros, key, TestDetails::from(result.details))
            });
            prop_assert_eq!(found, sent.collect::<Vec<_>>());
        }

        #[test]
        fn bytes_that_are_no_strip_are_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut plain = vec![1, 0, bytes.len() as u8];
            plain.extend(&bytes);
            for stored in [bytes, plain] {
                if let Ok(body) = unpack(&stored) {
                    prop_assert_eq!(body.cases().count(), body.len());
                }
                let _ = unpack_details(&stored);
            }
        }

        #[test]
        fn a_strip_that_ends_early_is_an_error(cases in proptest::collection::vec(case(), 1..20)) {
            for strip in pack(&cases) {
                for end in 0..strip.body.len() {
                    prop_assert!(unpack(&strip.body[..end]).is_err());
                }
                let details = strip.details.unwrap_or_default();
                for end in 0..details.len() {
                    prop_assert!(unpack_details(&details[..end]).is_err());
                }
            }
        }
    }

    fn passed(micros: u64) -> TestResult {
        TestResult {
            suite: "s".into(),
            name: "t".into(),
            status: TestStatus::Passed,
            micros: Some(micros),
            failure: None,
            details: TestDetails::NONE.into(),
        }
    }

    #[test]
    fn a_strip_has_a_bounded_number_of_cases_and_bytes_of_details() {
        let many = (0..CASES as i64 + 1).map(|test| (test, passed(1), None)).collect::<Vec<_>>();
        let cases: Vec<u32> = pack(&many).iter().map(|strip| strip.cases).collect();
        assert_eq!(cases, [CASES as u32, 1]);
        let mut long = passed(1);
        long.details.stdout = "x".repeat(DETAILS / 2);
        let long: Vec<_> = (0..5).map(|test| (test, long.clone(), None)).collect();
        let cases: Vec<u32> = pack(&long).iter().map(|strip| strip.cases).collect();
        assert_eq!(cases, [1, 1, 1, 1, 1]);
        let mut mixed: Vec<_> = (0..4).map(|test| (test, passed(1), None)).collect();
        mixed[1].1.details.stdout = "x".repeat(2 * DETAILS);
        mixed[2].1.details.stdout = "x".into();
        let cases: Vec<u32> = pack(&mixed).iter().map(|strip| strip.cases).collect();
        assert_eq!(cases, [2, 2]);
    }

    #[test]
    fn a_case_in_the_order_of_the_last_report_takes_hardly_more_than_its_duration() {
        // Durations of milliseconds, up to 16 seconds: 14 bits each.
        let millis = (0..CASES as u64).map(|n| ((n * 2_654_435_761) >> 7) % 16_384 * 1000);
        let cases: Vec<_> =
            (1..).zip(millis).map(|(test, micros)| (test, passed(micros), None)).collect();
        let strips = pack(&cases);
        assert!(strips[0].body.len() < CASES * 21 / 10, "{}", strips[0].body.len());
    }

    #[test]
    fn a_length_that_is_a_lie_takes_no_memory() {
        let lie = [&[1u8, 1][..], &[0xff, 0xff, 0xff, 0xff, 0x7f], &[0; 9]].concat();
        assert_eq!(unpack(&lie), Err(Corrupt("too long")));
        assert_eq!(unpack_details(&lie).err(), Some(Corrupt("too long")));
    }
}
