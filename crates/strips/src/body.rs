//! The body of a strip: which tests, with what outcome, how long, and the keys of their failures.
//!
//! Version 1, compressed, in columns of all its cases:
//!
//! 1. the number of cases;
//! 2. the number of each test, as the difference from the one before. Reports list tests in the
//!    same order again and again, so nearly all differences are 1;
//! 3. a byte for each: the status, and whether it has a duration, details and a failure;
//! 4. the durations of those that have one, in units of a power of ten of microseconds that all are
//!    a multiple of: many tools write milliseconds;
//! 5. the keys of failures, each once, and the place of its key for each case that has one.

use std::collections::HashMap;

use devmason_domain::{TestResult, TestStatus};

use crate::bytes::{Reader, compress, decompress, put, put_difference};
use crate::{CASES, Corrupt, FailureKey, Strip, number, status};

const VERSION: u8 = 1;

/// Bits of a case's byte.
const STATUS: u8 = 0b111;
const DURATION: u8 = 1 << 3;
const DETAILS: u8 = 1 << 4;
const FAILURE: u8 = 1 << 5;

/// Greatest power of ten of the unit of durations: a second.
const SECOND: u8 = 6;

/// A body never is longer: ten bytes each for test and duration, three for the place of a key, the
/// key and the kind.
const MOST: usize = CASES * 40 + 32;

/// The columns of a strip that is being filled.
#[derive(Default)]
pub(crate) struct Columns {
    tests: Vec<i64>,
    kinds: Vec<u8>,
    micros: Vec<u64>,
    keys: Vec<FailureKey>,
    places: Vec<u32>,
    known: HashMap<FailureKey, u32>,
}

impl Columns {
    pub(crate) fn len(&self) -> usize {
        self.tests.len()
    }

    pub(crate) fn push(
        &mut self,
        test: i64,
        result: &TestResult,
        failure: Option<&FailureKey>,
        has_details: bool,
    ) {
        let mut kind = number(result.status);
        if let Some(micros) = result.micros {
            kind |= DURATION;
            self.micros.push(micros);
        }
        if has_details {
            kind |= DETAILS;
        }
        if let Some(key) = failure {
            kind |= FAILURE;
            let next = self.keys.len() as u32;
            let place = *self.known.entry(*key).or_insert(next);
            if place == next {
                self.keys.push(*key);
            }
            self.places.push(place);
        }
        self.tests.push(test);
        self.kinds.push(kind);
    }

    pub(crate) fn pack(self, details: Option<Vec<u8>>) -> Strip {
        let mut out = Vec::with_capacity(self.len() * 5);
        put(&mut out, self.len() as u64);
        let mut last = 0i64;
        for test in &self.tests {
            put_difference(&mut out, test.wrapping_sub(last));
            last = *test;
        }
        out.extend_from_slice(&self.kinds);
        let scale = scale(&self.micros);
        out.push(scale);
        let unit = 10u64.pow(scale.into());
        for micros in &self.micros {
            put(&mut out, micros / unit);
        }
        put(&mut out, self.keys.len() as u64);
        self.keys.iter().for_each(|key| out.extend_from_slice(key));
        for place in &self.places {
            put(&mut out, (*place).into());
        }
        let is_bad = |kind: &&u8| *kind & STATUS >= number(TestStatus::Failed);
        Strip {
            cases: self.len() as u32,
            bad: self.kinds.iter().filter(is_bad).count() as u32,
            low: self.tests.iter().copied().min().unwrap_or(0),
            high: self.tests.iter().copied().max().unwrap_or(0),
            body: compress(VERSION, &out),
            details,
        }
    }
}

/// The greatest power of ten that divides all durations.
fn scale(micros: &[u64]) -> u8 {
    let mut scale = SECOND;
    for micros in micros {
        while scale > 0 && micros % 10u64.pow(scale.into()) != 0 {
            scale -= 1;
        }
    }
    scale
}

/// The cases of a strip, as columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Body {
    tests: Vec<i64>,
    kinds: Vec<u8>,
    micros: Vec<u64>,
    keys: Vec<FailureKey>,
    places: Vec<u32>,
}

/// A case of a strip, without what only some cases say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// The number of the test.
    pub test: i64,
    /// The outcome.
    pub status: TestStatus,
    /// The duration, in microseconds.
    pub micros: Option<u64>,
    /// The key of its failure.
    pub failure: Option<FailureKey>,
    /// Its place among the strip's cases with details, if it has any.
    pub details: Option<u32>,
}

/// Unpacks the body of a strip.
///
/// # Errors
/// Bytes that are none.
pub fn unpack(stored: &[u8]) -> Result<Body, Corrupt> {
    let bytes = decompress(VERSION, stored, MOST)?;
    let mut reader = Reader(&bytes);
    let cases = reader.count()?;
    if cases > CASES {
        return Err(Corrupt("too many cases"));
    }
    let mut last = 0i64;
    let mut tests = Vec::with_capacity(cases);
    for _ in 0..cases {
        last = last.wrapping_add(reader.difference()?);
        tests.push(last);
    }
    let kinds = reader.bytes(cases)?.to_vec();
    let is_kind = |kind: &u8| *kind < FAILURE << 1 && status(kind & STATUS).is_some();
    if !kinds.iter().all(is_kind) {
        return Err(Corrupt("a status is none"));
    }
    let having = |bit: u8| kinds.iter().filter(|kind| *kind & bit != 0).count();
    let scale = reader.byte()?;
    if scale > SECOND {
        return Err(Corrupt("an unknown unit of time"));
    }
    let unit = 10u64.pow(scale.into());
    let micros = (0..having(DURATION))
        .map(|_| reader.number()?.checked_mul(unit).ok_or(Corrupt("a duration is too long")));
    let micros = micros.collect::<Result<_, _>>()?;
    let count = reader.count()?;
    let keys: Vec<FailureKey> = (0..count)
        .map(|_| reader.bytes(16)?.try_into().map_err(|_| Corrupt("ends early")))
        .collect::<Result<_, _>>()?;
    let places = (0..having(FAILURE)).map(|_| {
        let place = u32::try_from(reader.number()?).ok();
        place.filter(|place| (*place as usize) < keys.len()).ok_or(Corrupt("a failure is missing"))
    });
    let places = places.collect::<Result<_, _>>()?;
    reader.end()?;
    Ok(Body { tests, kinds, micros, keys, places })
}

impl Body {
    /// Number of cases.
    pub fn len(&self) -> usize {
        self.tests.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// The number of each case's test, in order.
    pub fn tests(&self) -> &[i64] {
        &self.tests
    }

    /// The cases, in order.
    pub fn cases(&self) -> impl Iterator<Item = Packed> {
        let (mut micros, mut places) = (self.micros.iter(), self.places.iter());
        let mut detailed = 0..;
        self.tests.iter().zip(&self.kinds).map(move |(test, kind)| {
            let place = (kind & FAILURE != 0).then(|| places.next()).flatten();
            Packed {
                test: *test,
                // Checked when it was unpacked.
                status: status(kind & STATUS).unwrap_or(TestStatus::Error),
                micros: (kind & DURATION != 0).then(|| micros.next().copied()).flatten(),
                failure: place.and_then(|place| self.keys.get(*place as usize).copied()),
                details: (kind & DETAILS != 0).then(|| detailed.next()).flatten(),
            }
        })
    }
}
