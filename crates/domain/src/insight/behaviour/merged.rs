//! Several builds of one commit as one.

use super::*;
use crate::insight::{Merged, Part};

/// A build from one second to another, with tests as letters.
fn part(from: i64, to: i64, letters: &str) -> Part {
    let at = |second: i64| Timestamp::from_parts(second * 1_000_000, 0).unwrap();
    let (cases, steps) = (cases(letters), Vec::new());
    let success = !cases.iter().any(|case| case.status.is_bad());
    let (started, finished) = (at(from), Some(at(to)));
    Part { started, finished, cases, steps, success, is_bad_itself: false }
}

/// The statuses of the tests, in order.
fn statuses(of: &Merged) -> String {
    let letter = |case: &Case| match case.status {
        TestStatus::Passed => 'P',
        TestStatus::Flaky => 'L',
        TestStatus::Skipped => 'S',
        TestStatus::Failed => 'F',
        TestStatus::Error => 'G',
    };
    of.cases.iter().map(letter).collect()
}

#[test]
fn a_rerun_repairs_and_builds_side_by_side_add_up() {
    let of = |parts: &[Part]| {
        let merged = Merged::of(parts);
        (statuses(&merged), merged.reran.clone(), merged.superseded)
    };
    assert_eq!(of(&[part(0, 1, "FP"), part(1, 2, "P.")]), ("PP".to_owned(), vec![0], vec![]));
    assert_eq!(of(&[part(0, 1, "FP"), part(1, 2, "PF")]), ("PF".to_owned(), vec![0], vec![0]));
    // The later green one began before the other ended.
    assert_eq!(of(&[part(0, 5, "FP.."), part(1, 2, "P.PP")]).0, "FPPP");
    // A skipped run repairs nothing, and a failure in the rerun is no repair.
    assert_eq!(of(&[part(0, 1, "FS"), part(1, 2, "SP")]), ("FP".to_owned(), vec![], vec![]));
    assert_eq!(of(&[part(0, 1, "F"), part(1, 2, "G")]), ("G".to_owned(), vec![], vec![0]));
    // A build that ends at once is followed by one that starts then, whichever came first.
    assert_eq!(of(&[part(1, 3, "P"), part(1, 1, "F")]), ("P".to_owned(), vec![0], vec![1]));
    // Of two builds that took no time, the later one counts.
    assert_eq!(of(&[part(1, 1, "F"), part(1, 1, "P")]), ("P".to_owned(), vec![0], vec![0]));
    let running = Part { finished: None, ..part(0, 0, "F") };
    assert_eq!(of(&[running, part(1, 2, "P")]).0, "F");
    assert_eq!(of(&[]), (String::new(), vec![], vec![]));
}

#[test]
fn each_failure_is_of_the_build_that_had_it() {
    let merged = Merged::of(&[part(0, 9, "FP."), part(1, 2, "P.G")]);
    assert_eq!(merged.places, HashMap::from([(Item::Test(0), 0), (Item::Test(2), 1)]));
    assert!(merged.superseded.is_empty());
}

#[test]
fn steps_and_the_build_itself_are_repaired_likewise() {
    let with = |mut part: Part, steps: Vec<StepRun>, is_bad_itself: bool| {
        part.steps = steps;
        let success = part.success && !is_bad_itself && part.steps.iter().all(|step| step.success);
        Part { is_bad_itself, success, ..part }
    };
    let step = |success, bad| super::step(0, "make", success, Some(bad));
    let merged = Merged::of(&[
        with(part(0, 1, ""), vec![step(false, 0)], false),
        with(part(1, 2, ""), vec![step(true, 0)], false),
    ]);
    assert!(merged.steps[0].success && merged.places.is_empty());
    assert_eq!(merged.superseded, [0]);
    // A step that its cases explain did not run, and is there.
    let merged = Merged::of(&[with(part(0, 1, "F"), vec![step(false, 1)], false)]);
    assert_eq!(merged.places, HashMap::from([(Item::Test(0), 0)]));
    let explained = unexplained(&merged.steps).is_empty() && merged.steps.len() == 1;
    assert!(explained, "{:?}", merged.steps);
    let itself = |repaired: bool| {
        let first = with(part(0, 1, ""), Vec::new(), true);
        Merged::of(&[first, with(part(i64::from(repaired), 2, ""), Vec::new(), false)])
    };
    assert!(itself(false).is_bad_itself && !itself(true).is_bad_itself);
    assert_eq!((itself(true).superseded, itself(false).superseded), (vec![0], vec![]));
    // A later build that failed for another reason repairs nothing.
    let first = with(part(0, 1, ""), Vec::new(), true);
    assert!(Merged::of(&[first, part(1, 2, "F")]).is_bad_itself);
}

#[test]
fn a_test_that_passed_on_a_rerun_became_flaky_unless_it_was_known_to_be() {
    let compare = |mainline: &[&str]| {
        let merged = Merged::of(&[part(100, 101, "F"), part(101, 102, "P")]);
        let mut comparison = Comparison::new(looked(101), &merged.cases, &merged.steps);
        comparison.rerun(&merged.reran);
        for (n, letters) in mainline.iter().enumerate().rev() {
            comparison.push(Side::Baseline, run(n, &cases(letters)), &cases(letters));
        }
        tests(&comparison.answer(&signatures(), |_| true, |_| None).new_flaky)
    };
    assert_eq!(compare(&["P", "P"]), [0]);
    assert!(compare(&["P", "L"]).is_empty());
}
