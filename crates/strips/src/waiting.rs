//! Cases that wait to be packed: their tests have no numbers yet.
//!
//! A report may have a million cases. As values they would take hundreds of megabytes, so all but
//! the last few thousand are folded: written in columns, and compressed.
//!
//! A folded piece, in columns of all its cases:
//!
//! 1. their number, and a byte for each: the status, and whether it has a suite of its own, a
//!    duration, details, a failure;
//! 2. the suites, each where it differs from the one before;
//! 3. the names;
//! 4. the durations of those that have one;
//! 5. the failures: a byte that says what it has, and these texts;
//! 6. the details as in a strip, behind their length.

use std::borrow::Cow;
use std::sync::Arc;

use devmason_domain::{TestFailure, TestResult};

use crate::bytes::{Reader, compress_briefly, decompress, put, put_text};
use crate::details::{self, unpack_details};
use crate::{CASES, Corrupt, number, status};

const VERSION: u8 = 1;

/// Bits of a case's byte, beside its status.
const STATUS: u8 = 0b111;
const SUITE: u8 = 1 << 3;
const DURATION: u8 = 1 << 4;
const DETAILS: u8 = 1 << 5;
const FAILURE: u8 = 1 << 6;

/// Bits of a failure's byte.
const KIND: u8 = 1;
const MESSAGE: u8 = 1 << 1;
const TEXT: u8 = 1 << 2;

/// Number of unfolded cases, and size of their texts in bytes, at which they are folded.
const OPEN: usize = 4 * CASES;
const TEXTS: usize = 1 << 20;

/// A piece never is longer: a single case may say as much as fits into a request.
const MOST: usize = 1 << 30;

/// The cases of a report, in order, in little memory.
///
/// Up to a few thousand cases stay as they are, so that a report of usual size costs nothing more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaitingCases {
    folded: Vec<Vec<u8>>,
    folded_cases: usize,
    folded_bytes: usize,
    /// The last ones.
    open: Vec<TestResult>,
    /// The size of their texts.
    open_texts: usize,
}

impl From<Vec<TestResult>> for WaitingCases {
    fn from(open: Vec<TestResult>) -> Self {
        let open_texts = open.iter().map(texts).sum();
        Self { open, open_texts, ..Self::default() }
    }
}

impl WaitingCases {
    /// Appends a case.
    pub fn push(&mut self, case: TestResult) {
        self.open_texts += texts(&case);
        self.open.push(case);
        if self.open.len() >= OPEN || self.open_texts >= TEXTS {
            self.fold();
        }
    }

    /// Appends all cases of another report.
    pub fn append(&mut self, mut other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        if !other.folded.is_empty() {
            self.fold();
            self.folded.append(&mut other.folded);
            self.folded_cases += other.folded_cases;
            self.folded_bytes += other.folded_bytes;
        }
        other.open.into_iter().for_each(|case| self.push(case));
    }

    /// Number of cases.
    pub fn len(&self) -> usize {
        self.folded_cases + self.open.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The size of all cases in memory, in bytes.
    pub fn bytes(&self) -> usize {
        self.folded_bytes + self.open.len() * size_of::<TestResult>() + self.open_texts
    }

    /// The cases in order, a few thousand at a time.
    ///
    /// # Errors
    /// None that a case could cause: each piece was folded here.
    pub fn pieces(&self) -> impl Iterator<Item = Result<Cow<'_, [TestResult]>, Corrupt>> {
        let folded = self.folded.iter().map(|piece| unfold(piece).map(Cow::Owned));
        let open = (!self.open.is_empty()).then_some(Ok(Cow::Borrowed(self.open.as_slice())));
        folded.chain(open)
    }

    fn fold(&mut self) {
        for cases in self.open.chunks(CASES) {
            let piece = fold(cases);
            self.folded_cases += cases.len();
            self.folded_bytes += piece.len();
            self.folded.push(piece);
        }
        self.open.clear();
        self.open_texts = 0;
    }
}

/// The size of a case's texts.
fn texts(case: &TestResult) -> usize {
    let of = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let failure = case.failure.as_ref();
    let failure = failure.map_or(0, |why| of(&why.kind) + of(&why.message) + of(&why.text));
    let details = if case.details.is_none() {
        0
    } else {
        let properties = case.details.properties.iter();
        size_of::<devmason_domain::TestDetails>()
            + case.details.stdout.len()
            + case.details.stderr.len()
            + of(&case.details.file)
            + properties
                .map(|(name, value)| size_of::<(String, String)>() + name.len() + value.len())
                .sum::<usize>()
    };
    case.name.len() + failure + details
}

fn fold(cases: &[TestResult]) -> Vec<u8> {
    let (mut suites, mut names) = (Vec::new(), Vec::new());
    let (mut micros, mut failures) = (Vec::new(), Vec::new());
    let mut details = details::Columns::default();
    let mut out = Vec::new();
    put(&mut out, cases.len() as u64);
    let mut last: Option<&Arc<str>> = None;
    for case in cases {
        let mut kind = number(case.status);
        if last.is_none_or(|last| !Arc::ptr_eq(last, &case.suite) && **last != *case.suite) {
            kind |= SUITE;
            put_text(&mut suites, &case.suite);
        }
        last = Some(&case.suite);
        put_text(&mut names, &case.name);
        if let Some(of_it) = case.micros {
            kind |= DURATION;
            put(&mut micros, of_it);
        }
        if details.push(&case.details) {
            kind |= DETAILS;
        }
        if let Some(failure) = &case.failure {
            kind |= FAILURE;
            let parts = [(KIND, &failure.kind), (MESSAGE, &failure.message), (TEXT, &failure.text)];
            let has = parts.iter().filter(|(_, text)| text.is_some()).map(|(bit, _)| *bit);
            failures.push(has.fold(0, |all, bit| all | bit));
            parts.iter().filter_map(|(_, text)| text.as_deref()).for_each(|text| {
                put_text(&mut failures, text);
            });
        }
        out.push(kind);
    }
    let details = details.pack().unwrap_or_default();
    for column in [&suites, &names, &micros, &failures] {
        out.extend_from_slice(column);
    }
    put(&mut out, details.len() as u64);
    out.extend_from_slice(&details);
    compress_briefly(VERSION, &out)
}

fn unfold(piece: &[u8]) -> Result<Vec<TestResult>, Corrupt> {
    let bytes = decompress(VERSION, piece, MOST)?;
    let mut reader = Reader(&bytes);
    let count = reader.count()?;
    let kinds = reader.bytes(count)?;
    let mut suite: Arc<str> = Arc::default();
    let mut cases = Vec::with_capacity(count);
    for kind in kinds {
        if kind & SUITE != 0 {
            suite = Arc::from(reader.text()?);
        }
        cases.push(TestResult {
            suite: suite.clone(),
            name: String::new(),
            status: status(kind & STATUS).ok_or(Corrupt("a status is none"))?,
            micros: None,
            failure: None,
            details: devmason_domain::Details::default(),
        });
    }
    for case in &mut cases {
        reader.text()?.clone_into(&mut case.name);
    }
    let with = |bit: u8| move |(_, kind): &(&mut TestResult, &u8)| **kind & bit != 0;
    for (case, _) in cases.iter_mut().zip(kinds).filter(with(DURATION)) {
        case.micros = Some(reader.number()?);
    }
    for (case, _) in cases.iter_mut().zip(kinds).filter(with(FAILURE)) {
        let has = reader.byte()?;
        let mut part = |bit: u8| -> Result<Option<String>, Corrupt> {
            (has & bit != 0).then(|| reader.text().map(str::to_owned)).transpose()
        };
        let (kind, message, text) = (part(KIND)?, part(MESSAGE)?, part(TEXT)?);
        case.failure = Some(TestFailure { kind, message, text });
    }
    let length = reader.count()?;
    let packed = reader.bytes(length)?;
    let details = if packed.is_empty() { Vec::new() } else { unpack_details(packed)? };
    let mut details = details.into_iter();
    for (case, _) in cases.iter_mut().zip(kinds).filter(with(DETAILS)) {
        case.details = details.next().ok_or(Corrupt("details are missing"))?.into();
    }
    reader.end()?;
    Ok(cases)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use devmason_domain::TestStatus;
    use proptest::prelude::*;

    use super::*;

    /// Cases as a report has them: suites that repeat, and failures of every kind.
    fn case() -> impl Strategy<Value = TestResult> {
        let text = || proptest::option::of(".{0,4}");
        let failure = proptest::option::of((text(), text(), text()));
        (0..4u8, ".{0,4}", crate::tests::case(), failure).prop_map(
            |(suite, name, (_, case, _), failure)| TestResult {
                suite: suite.to_string().into(),
                name,
                failure: failure.map(|(kind, message, text)| TestFailure { kind, message, text }),
                ..case
            },
        )
    }

    fn all(waiting: &WaitingCases) -> Vec<TestResult> {
        waiting.pieces().flat_map(|piece| piece.unwrap().into_owned()).collect()
    }

    proptest! {
        #[test]
        fn cases_come_back_as_they_were_folded(cases in proptest::collection::vec(case(), 0..60)) {
            prop_assert_eq!(unfold(&fold(&cases)).unwrap(), cases);
        }

        #[test]
        fn bytes_that_were_not_folded_are_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let plain = [&[1, 0, bytes.len() as u8][..], &bytes].concat();
            let _ = (unfold(&bytes), unfold(&plain));
        }

        #[test]
        fn a_piece_that_ends_early_is_an_error(cases in proptest::collection::vec(case(), 1..9)) {
            let folded = fold(&cases);
            for end in 0..folded.len() {
                prop_assert!(unfold(&folded[..end]).is_err());
            }
        }
    }

    fn numbered(n: usize) -> TestResult {
        TestResult {
            suite: "s".into(),
            name: format!("test number {n}"),
            status: TestStatus::Passed,
            micros: Some(n as u64),
            failure: None,
            details: devmason_domain::Details::default(),
        }
    }

    #[test]
    fn many_cases_take_a_fraction_of_their_memory_and_keep_their_order() {
        let count = 5 * OPEN + 5;
        let mut waiting = WaitingCases::default();
        (0..count).for_each(|n| waiting.push(numbered(n)));
        assert_eq!(waiting.len(), count);
        let as_they_are = count * size_of::<TestResult>();
        assert!(waiting.bytes() < as_they_are / 8, "{} of {as_they_are}", waiting.bytes());
        assert!(waiting.pieces().all(|piece| piece.unwrap().len() <= OPEN));
        assert_eq!(all(&waiting), (0..count).map(numbered).collect::<Vec<_>>());
    }

    #[test]
    fn long_texts_are_folded_at_once() {
        let mut waiting = WaitingCases::default();
        for n in 0..64 {
            let mut case = numbered(n);
            case.details.stdout = "x".repeat(TEXTS / 4);
            waiting.push(case);
        }
        assert!(waiting.bytes() < TEXTS, "{}", waiting.bytes());
        assert_eq!(all(&waiting).len(), 64);
    }

    #[test]
    fn the_cases_of_several_files_follow_each_other() {
        for sizes in [[0, 3], [3, 0], [3, 4], [OPEN + 1, 2], [2, OPEN + 1], [OPEN + 1, OPEN + 2]] {
            let mut waiting = WaitingCases::default();
            let mut next = 0..;
            for size in sizes {
                let mut file = WaitingCases::default();
                next.by_ref().take(size).for_each(|n| file.push(numbered(n)));
                waiting.append(file);
            }
            let count = sizes.iter().sum::<usize>();
            assert_eq!(waiting.len(), count);
            assert_eq!(all(&waiting), (0..count).map(numbered).collect::<Vec<_>>());
        }
    }
}
