//! Tests that became slower.

use super::subject::severity;
use crate::TestStatus;

/// Number of the newest passing runs that are all slow, and of those before that they are compared with.
const SLOW: usize = 3;
const BEFORE: std::ops::RangeInclusive<usize> = 10..=50;

/// Number of passing runs that are looked at.
pub(super) const LOOKED_AT: usize = SLOW + 50;

/// No test is slower by less than this, in seconds.
pub(super) const LEAST: f32 = 0.5;

/// What the passing runs of a test took, in seconds, the newest first. Of several cases of one name in a
/// build the worst counts, the first of its kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Times {
    seconds: Vec<f32>,
    /// The build that was taken last, its status, and whether its time is the last of the list.
    last: Option<(usize, TestStatus, bool)>,
}

impl Times {
    /// Takes the next older run, or another case of the same name in the build of the last one.
    pub(super) fn take(&mut self, run: usize, status: TestStatus, took: Option<f32>) {
        if let Some((_, known, is_listed)) = self.last.filter(|(of, ..)| *of == run) {
            if severity(status) <= severity(known) {
                return;
            }
            if is_listed {
                self.seconds.pop();
            }
        }
        let took = took.filter(|_| status == TestStatus::Passed);
        self.seconds.extend(took);
        self.last = Some((run, status, took.is_some()));
    }

    pub(super) fn seconds(&self) -> &[f32] {
        &self.seconds
    }
}

/// How much slower a test became. All in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slow {
    /// The median of the runs before.
    pub median: f32,
    /// What the newest runs were all above.
    pub limit: f32,
    /// What the newest run took.
    pub took: f32,
}

fn median(values: &mut [f32]) -> Option<f32> {
    values.sort_unstable_by(f32::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some((values.get(middle.checked_sub(1)?)? + upper) / 2.0)
}

/// Whether a test became slower, by what its passing runs took, the newest first.
///
/// The last three are each above max(m + 5 × 1.4826 × MAD, 1.5 m, m + 0.5 s) of the 10 to 50 before them:
/// m is their median, and MAD the median of the absolute deviations from it, which times 1.4826 estimates
/// the standard deviation of a normal distribution.
pub(super) fn slower(times: &[f32]) -> Option<Slow> {
    let (newest, before) = times.split_at_checked(SLOW)?;
    let before = before.get(..before.len().min(*BEFORE.end()))?;
    if !BEFORE.contains(&before.len()) {
        return None;
    }
    let median_of = median(&mut before.to_vec())?;
    let mut deviations: Vec<f32> = before.iter().map(|time| (time - median_of).abs()).collect();
    let spread = 5.0 * 1.4826 * median(&mut deviations)?;
    let limit = (median_of + spread).max(1.5 * median_of).max(median_of + LEAST);
    let is_slow = newest.iter().all(|time| *time > limit);
    let took = *newest.first()?;
    is_slow.then_some(Slow { median: median_of, limit, took })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_cases_with_one_name_the_time_of_the_worst_counts() {
        use TestStatus::{Failed, Passed, Skipped};
        let cases = [
            (0, Passed, 1.0),
            (0, Passed, 1.5),
            (1, Skipped, 0.0),
            (1, Passed, 2.0),
            (2, Passed, 3.0),
            (2, Failed, 9.0),
            (3, Failed, 9.0),
            (3, Passed, 4.0),
            (4, Passed, 5.0),
        ];
        let mut times = Times::default();
        for (run, status, took) in cases {
            times.take(run, status, Some(took));
        }
        assert_eq!(times.seconds(), [1.0, 2.0, 5.0]);
    }

    #[test]
    fn three_slow_runs_in_a_row_make_a_test_slower() {
        let usual: Vec<f32> = (0..20).map(|n| 2.0 + 0.01 * n as f32).collect();
        let with = |newest: &[f32]| slower(&[newest, &usual].concat());
        assert_eq!(with(&[4.0]), None);
        assert_eq!(with(&[4.2, 4.0]), None);
        let found = with(&[4.1, 4.2, 4.0]).unwrap_or(Slow { median: 0.0, limit: 0.0, took: 0.0 });
        assert!((found.median - 2.095).abs() < 0.01 && (found.limit - 3.1425).abs() < 0.01);
        assert!((found.took - 4.1).abs() < 1e-6);
        // One that is not above the limit, and too few runs before.
        assert_eq!(with(&[4.1, 3.1, 4.0]), None);
        let few = [4.0, 4.0, 4.0].into_iter().chain(std::iter::repeat_n(2.0, 9));
        assert_eq!(slower(&few.collect::<Vec<_>>()), None);
        // Milliseconds are noise.
        let short = [0.3, 0.3, 0.3].into_iter().chain(std::iter::repeat_n(0.01, 20));
        assert_eq!(slower(&short.collect::<Vec<_>>()), None);
    }
}
