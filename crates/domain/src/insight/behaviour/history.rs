//! The tests of a track, and when their behaviour changed.

use super::*;
use crate::insight::{History, segments};

fn history(newest_first: &[&str]) -> History {
    let mut history = History::default();
    for (n, letters) in newest_first.iter().enumerate() {
        let cases = cases(letters);
        let timed = |case: &Case| Case { took: Some((newest_first.len() - n) as f32), ..*case };
        let run = run(newest_first.len() - n, &cases);
        history.push(run, &cases.iter().map(timed).collect::<Vec<_>>());
    }
    history
}

#[test]
fn the_health_of_a_test_is_told_from_its_runs() {
    let track = history(&["FS", "FP", "P.", "FP", "PP", "LP"]);
    let of = |test| track.health(test, None).unwrap();
    let first = of(0);
    assert_eq!(
        (first.status, first.is_here, first.runs, first.bad),
        (TestStatus::Failed, true, 6, 3)
    );
    assert_eq!(first.last_bad, Some(id(6)));
    assert_eq!((first.evidence.retry, first.evidence.flip), (1, 1));
    assert_eq!(first.times, Some([2.0, 4.0]));
    let second = of(1);
    assert_eq!((second.status, second.skipped, second.runs), (TestStatus::Skipped, 1, 4));
    assert_eq!(second.last_bad, None);
    assert!(track.health(2, None).is_none());
    let letters = |test| track.statuses(test, 4).iter().map(Option::is_some).collect::<Vec<_>>();
    assert_eq!(letters(1), [true, true, false, true]);
    let outcomes = track.outcomes(0);
    assert_eq!(
        outcomes.iter().map(|(.., bad)| *bad).collect::<Vec<_>>(),
        [false, false, true, false, true, true]
    );
}

#[test]
fn a_history_of_the_newest_build_leaves_other_tests_out() {
    let mut history = History::of_newest();
    for (n, letters) in ["P.", "FP", "PF"].into_iter().enumerate() {
        let cases = cases(letters);
        history.push(run(3 - n, &cases), &cases);
    }
    assert_eq!((history.len(), history.health(0, None).unwrap().runs), (1, 3));
    assert!(history.health(1, None).is_none());
}

#[test]
fn a_mass_failure_says_nothing_of_a_test() {
    let (all, good) = ("F".repeat(20), "P".repeat(20));
    let track = history(&[&good, &all, &good]);
    let health = track.health(3, None).unwrap();
    assert_eq!((health.runs, health.bad, health.evidence.flip), (2, 0, 0));
    // But a failure in it is told.
    assert_eq!((health.last_bad, health.times), (Some(id(2)), Some([1.0, 3.0])));
}

#[test]
fn evidence_from_before_an_issue_was_closed_is_settled() {
    let track = history(&["P", "F", "P", "F", "P", "F", "P"]);
    let flips = |closed| track.health(0, closed).unwrap().evidence.flip;
    let started = |nth: usize| Some(track.runs()[nth].started);
    assert_eq!((flips(None), flips(started(5)), flips(started(1))), (3, 2, 0));
}

/// The lengths of the segments.
fn lengths(runs: &str) -> Vec<usize> {
    let bad: Vec<bool> = runs.chars().map(|run| run == 'F').collect();
    segments(&bad).iter().map(|segment| segment.runs).collect()
}

#[test]
fn behaviour_changes_where_a_new_probability_explains_it_better() {
    let repeated = |letter: &str, times| letter.repeat(times);
    assert_eq!(lengths(""), Vec::<usize>::new());
    assert_eq!(lengths(&(repeated("P", 40) + "FFF")), [40, 3]);
    assert_eq!(lengths(&(repeated("P", 40) + "FF")), [42]);
    let there_and_back = repeated("P", 30) + &repeated("F", 10) + &repeated("P", 30);
    assert_eq!(lengths(&there_and_back), [30, 10, 30]);
    assert_eq!(lengths(&repeated("P", 600)), [500]);
    // A flaky test is one that fails now and then.
    assert_eq!(lengths(&repeated("PPPPPPPPPF", 10)), [100]);
}

proptest! {
    #[test]
    fn the_division_is_the_best_of_all(runs in "[PF]{1,10}") {
        // The score by the formula, with factors instead of logarithms' tables.
        let score = |runs: &[bool]| {
            let (mut good, mut bad, mut sum) = (0.0, 0.0, 0.0);
            for is_bad in runs {
                let all: f64 = 0.55 + good + bad;
                if *is_bad {
                    sum += ((0.05 + bad) / all).ln();
                    bad += 1.0;
                } else {
                    sum += ((0.5 + good) / all).ln();
                    good += 1.0;
                }
            }
            sum
        };
        let bad: Vec<bool> = runs.chars().map(|run| run == 'F').collect();
        let of = |cuts: usize| {
            let (mut from, mut sum) = (0, 0.0);
            for to in 1..=bad.len() {
                if to == bad.len() || cuts & (1 << (to - 1)) != 0 {
                    sum += score(&bad[from..to]) - if from > 0 { 10_000f64.ln() } else { 0.0 };
                    from = to;
                }
            }
            sum
        };
        let best = (0..1usize << (bad.len() - 1)).map(of).fold(f64::NEG_INFINITY, f64::max);
        let found = segments(&bad);
        let cuts = found.iter().filter(|segment| segment.from > 0).map(|segment| 1usize << (segment.from - 1)).sum();
        prop_assert!((of(cuts) - best).abs() < 1e-9, "{found:?}");
        prop_assert_eq!(found.iter().map(|segment| segment.runs).sum::<usize>(), bad.len());
        prop_assert_eq!(found.iter().map(|segment| segment.bad).sum::<usize>(), bad.iter().filter(|bad| **bad).count());
    }
}
