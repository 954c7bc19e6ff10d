//! Stories of builds with what a comparison says of them, and a comparison with a naive model.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod closed;
mod elsewhere;
mod history;
mod merged;
mod slower;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{BuildId, TestStatus, TestSummary, Timestamp};

const DAY: i64 = 24 * 3600 * 1_000_000;

fn id(n: usize) -> BuildId {
    BuildId(Uuid::from_u128(n as u128))
}

/// A build: for each test a letter, or `.` where it did not run. P passed, L flaky, S skipped, F failed
/// with one text, G failed with another.
fn cases(letters: &str) -> Vec<Case> {
    let status = |letter| {
        Some(match letter {
            'P' => (TestStatus::Passed, None),
            'L' => (TestStatus::Flaky, Some([1; 16])),
            'S' => (TestStatus::Skipped, None),
            'F' => (TestStatus::Failed, Some([1; 16])),
            'G' => (TestStatus::Error, Some([2; 16])),
            _ => return None,
        })
    };
    let numbered =
        letters.chars().enumerate().filter_map(|(at, letter)| Some((at, status(letter)?)));
    numbered
        .map(|(at, (status, failure))| Case {
            position: at as u32,
            test: at as i64,
            status,
            failure,
            took: None,
        })
        .collect()
}

fn run(n: usize, cases: &[Case]) -> Run {
    let ran = cases.iter().filter(|case| case.status != TestStatus::Skipped).count();
    let bad = cases.iter().filter(|case| case.status.is_bad()).count();
    let tests = TestSummary { total: ran as u64, failed: bad as u64, ..TestSummary::default() };
    Run {
        build: id(n),
        started: Timestamp::from_parts(n as i64 * 1_000_000, 0).unwrap(),
        revision: None,
        host: None,
        is_mass_failure: is_mass_failure(&tests),
        is_bad_itself: false,
    }
}

fn looked(n: usize) -> Looked {
    Looked {
        build: id(n),
        started: Timestamp::from_parts(n as i64 * 1_000_000, 0).unwrap(),
        host: None,
        is_running: false,
        is_partial: false,
        is_bad_itself: false,
        has_baseline: true,
        is_same_project: true,
        is_same_track: false,
    }
}

fn signatures() -> HashMap<FailureKey, u8> {
    HashMap::from([([1; 16], 1), ([2; 16], 2)])
}

/// A build of a branch against a mainline, oldest first, that is all there is.
fn against(mainline: &[&str], of: &str) -> Answer<u8> {
    let mut comparison = Comparison::new(looked(mainline.len()), &cases(of), &[]);
    for (n, letters) in mainline.iter().enumerate().rev() {
        comparison.push(Side::Baseline, run(n, &cases(letters)), &cases(letters));
    }
    comparison.answer(&signatures(), |_| true, |_| None)
}

/// The last of the builds of a track, oldest first, against those before it.
fn last_of(track: &[&str]) -> Answer<u8> {
    let (of, before) = track.split_last().unwrap();
    let looked = Looked { is_same_track: true, ..looked(before.len()) };
    let mut comparison = Comparison::new(looked, &cases(of), &[]);
    for (n, letters) in before.iter().enumerate().rev() {
        for side in [Side::Baseline, Side::Own] {
            comparison.push(side, run(n, &cases(letters)), &cases(letters));
        }
    }
    comparison.answer(&signatures(), |_| true, |_| None)
}

fn tests(of: &[Placed]) -> Vec<i64> {
    let test = |placed: &Placed| match placed.item {
        Item::Test(test) => Some(test),
        _ => None,
    };
    of.iter().filter_map(test).collect()
}

fn classes(of: &Answer<u8>) -> Vec<Class> {
    of.failures.iter().map(|failure| failure.class).collect()
}

/// `(oldest build, number of builds)` of the first failure.
fn since(of: &Answer<u8>) -> (BuildId, usize) {
    (of.failures[0].since.build, of.failures[0].since.builds)
}

#[test]
fn a_failure_is_new_unless_the_test_fails_in_the_baseline_too() {
    let found = against(&["PPP", "PFP", "PFP"], "FFP");
    assert_eq!(classes(&found), [Class::New, Class::Failing]);
    assert_eq!(since(&found), (id(3), 1));
    let failing = &found.failures[1];
    assert_eq!((failing.since.build, failing.since.builds), (id(1), 2));
    assert_eq!(failing.last_good, Some(id(0)));
    let against_the_first = against(&["PPP"], "FFP");
    assert_eq!(classes(&against_the_first), [Class::New, Class::New]);
}

#[test]
fn a_test_is_compared_with_its_own_last_run() {
    let found = last_of(&["PPP", "PFP", "P..", "PFP"]);
    assert_eq!(classes(&found), [Class::Failing]);
    assert_eq!(since(&found), (id(1), 2));
    assert!(found.missing.is_empty());
    assert_eq!(tests(&last_of(&["PPP", "PFP", "P.."]).missing), [1, 2]);
}

fn flaky_story() -> Vec<&'static str> {
    [vec!["P"; 5], vec!["F"], vec!["P"; 10], vec!["F"], vec!["P"; 4]].concat()
}

#[test]
fn a_flaky_test_is_excused_only_if_it_fails_as_it_did_then() {
    let found = against(&flaky_story(), "F");
    assert_eq!(classes(&found), [Class::Flaky]);
    let flaky = found.failures[0].flaky.clone().unwrap();
    assert_eq!((flaky.evidence.flakes(), flaky.evidence.runs), (2, 21));
    assert_eq!(flaky.last, Some(id(16)));
    let other_text = against(&flaky_story(), "G");
    assert_eq!(classes(&other_text), [Class::New]);
    assert!(!other_text.failures[0].flaky.as_ref().unwrap().same_signature);
}

#[test]
fn three_failures_in_a_row_are_no_flake() {
    let story = [flaky_story(), vec!["F"; 3]].concat();
    let found = against(&story, "F");
    assert_eq!(classes(&found), [Class::Failing]);
    assert_eq!(since(&found), (id(21), 3));
    let found = last_of(&story);
    assert_eq!(classes(&found), [Class::Failing]);
    assert_eq!(since(&found), (id(21), 3));
}

#[test]
fn what_is_missing_ran_in_the_newest_build_that_ran_any() {
    let whole = "P".repeat(100);
    let part = "P".repeat(80);
    let found = against(&[&whole, ""], &part);
    assert_eq!((found.missing_tests(), found.ran_before), (20, 100));
    let skipped = against(&[&whole], &format!("S{}", "P".repeat(99)));
    assert_eq!((tests(&skipped.skipped), skipped.missing_tests()), (vec![0], 0));
    let looked = Looked { is_partial: true, ..looked(1) };
    let mut partial = Comparison::new(looked, &cases(&part), &[]);
    partial.push(Side::Baseline, run(0, &cases(&whole)), &cases(&whole));
    assert!(partial.answer(&signatures(), |_| true, |_| None).missing.is_empty());
}

#[test]
fn a_mass_failure_says_nothing_about_a_single_test() {
    let (good, all_bad) = ("P".repeat(100), "F".repeat(100));
    let one_bad = format!("PPPPPF{}", "P".repeat(94));
    // As a baseline by name, it counts.
    assert_eq!(classes(&against(&[&good, &all_bad], &one_bad)), [Class::Failing]);
    let found = against(&[&good, &all_bad, &good], &one_bad);
    assert_eq!(classes(&found), [Class::New]);
    assert!(found.failures[0].flaky.is_none());
    let twenty_of_which_nine = format!("{}{}", "F".repeat(9), "P".repeat(11));
    assert!(!run(0, &cases(&twenty_of_which_nine)).is_mass_failure);
    assert!(run(0, &cases(&"FP".repeat(10))).is_mass_failure);
    assert!(!run(0, &cases(&"F".repeat(19))).is_mass_failure);
}

#[test]
fn without_a_baseline_everything_is_unknown() {
    let looked = Looked { has_baseline: false, ..looked(0) };
    let found =
        Comparison::new(looked, &cases("FPS"), &[]).answer(&signatures(), |_| true, |_| None);
    assert_eq!(classes(&found), [Class::Unknown]);
    assert!(found.added.is_empty() && found.skipped.is_empty());
    assert!(!found.failures[0].first_run);
}

#[test]
fn fixed_and_added_tests_are_told_and_flaky_ones_are_not_fixed() {
    let found = against(&["PFF", "PFP", "PFF"], "PPPP");
    assert_eq!(tests(&found.fixed), [1, 2]);
    assert_eq!(found.fixed[0].since, Some(id(0)));
    assert_eq!(tests(&found.added), [3]);
    let story = [flaky_story(), vec!["F"]].concat();
    assert!(against(&story, "P").fixed.is_empty());
}

#[test]
fn a_test_that_passes_when_repeated_is_flaky_at_once() {
    assert_eq!(classes(&against(&["P", "L", "P"], "F")), [Class::Flaky]);
    assert_eq!(tests(&against(&["P", "P"], "L").new_flaky), [0]);
    assert!(against(&["P", "L"], "L").new_flaky.is_empty());
}

#[test]
fn one_commit_that_passes_and_fails_makes_a_test_flaky() {
    let mut comparison = Comparison::new(looked(3), &cases("F"), &[]);
    for (n, letter) in [(2, "P"), (1, "F"), (0, "P")] {
        let revision = (n > 0).then(|| "abcdef1".into());
        comparison.push(Side::Baseline, Run { revision, ..run(n, &cases(letter)) }, &cases(letter));
    }
    let found = comparison.answer(&signatures(), |_| true, |_| None);
    assert_eq!(classes(&found), [Class::Flaky]);
    let evidence = &found.failures[0].flaky.as_ref().unwrap().evidence;
    assert_eq!((evidence.same_revision, evidence.flip), (1, 0));
}

#[test]
fn old_evidence_does_not_count() {
    let story = flaky_story();
    let now = looked(0).started.micros() + 31 * DAY;
    let started = Timestamp::from_parts(now, 0).unwrap();
    let mut comparison = Comparison::new(Looked { started, ..looked(99) }, &cases("F"), &[]);
    for (n, letters) in story.iter().enumerate().rev() {
        comparison.push(Side::Baseline, run(n, &cases(letters)), &cases(letters));
    }
    assert_eq!(classes(&comparison.answer(&signatures(), |_| true, |_| None)), [Class::New]);
}

#[test]
fn the_beginning_of_a_long_failure_is_sought_behind_the_window() {
    let looked = Looked { is_same_track: true, ..looked(500) };
    let mut comparison = Comparison::new(looked, &cases("F"), &[]);
    let mut pushed = 0;
    for n in (0..500).rev() {
        if pushed > WINDOW && !comparison.wants_more(Side::Baseline) {
            break;
        }
        let letters = if n < 350 { "P" } else { "F" };
        for side in [Side::Baseline, Side::Own] {
            comparison.push(side, run(n, &cases(letters)), &cases(letters));
        }
        pushed += 1;
    }
    assert_eq!(pushed, 151);
    let found = comparison.answer(&signatures(), |_| false, |_| None);
    assert_eq!(since(&found), (id(350), 151));
    assert!(!found.failures[0].since.at_least);
}

fn step(position: u32, name: &str, success: bool, bad_cases: Option<u32>) -> StepRun {
    let name = name.to_owned();
    StepRun { position, name, success, bad_cases, is_report: false }
}

#[test]
fn a_step_is_explained_by_its_bad_cases_or_by_those_of_its_reports() {
    let report = |position, bad| StepRun {
        is_report: true,
        ..step(position, "report", bad == 0, Some(bad))
    };
    let names =
        |steps: &[StepRun]| unexplained(steps).iter().map(|step| step.position).collect::<Vec<_>>();
    assert_eq!(names(&[step(0, "a", false, Some(1)), step(1, "b", false, Some(0))]), [1]);
    assert_eq!(names(&[step(0, "a", false, None)]), [0]);
    assert!(names(&[step(0, "a", false, Some(0)), report(1, 2)]).is_empty());
    assert_eq!(names(&[step(0, "a", false, Some(0)), report(1, 0)]), [0, 1]);
    let cut = StepRun { bad_cases: None, ..report(1, 2) };
    assert_eq!(names(&[step(0, "a", false, Some(0)), cut]), [0, 1]);
    let between = [step(0, "a", false, Some(0)), step(1, "b", true, None), report(2, 2)];
    assert_eq!(names(&between), [0, 1]);
}

#[test]
fn steps_have_classes_without_any_test() {
    let mut comparison = Comparison::new(
        looked(2),
        &[],
        &[step(0, "new", false, None), step(1, "old", false, None), step(2, "mended", true, None)],
    );
    for (n, old) in [(1, false), (0, true)] {
        comparison.push(Side::Baseline, run(n, &[]), &[]);
        let steps =
            [step(0, "new", true, None), step(1, "old", old, None), step(2, "gone", true, None)];
        comparison.push_steps(Side::Baseline, 1 - n, &steps);
    }
    let found = comparison.answer(&signatures(), |_| true, |_| None);
    assert_eq!(classes(&found), [Class::New, Class::Failing]);
    assert_eq!(found.failures[1].since.build, id(1));
    let item = |placed: &Placed| placed.item.clone();
    assert_eq!(found.missing.iter().map(item).collect::<Vec<_>>(), [Item::Step("gone".into())]);
    // An explained step is there, though it counts as not run; and without any step, all are missing.
    let before = [step(0, "test", true, None)];
    let explained = step(0, "test", false, Some(1));
    for (now, before, missing, added) in [
        (&[explained.clone()][..], &before[..], 0, 0),
        (&before, std::slice::from_ref(&explained), 0, 0),
        (&[], &before, 1, 0),
    ] {
        let mut comparison = Comparison::new(looked(1), &[], now);
        comparison.push(Side::Baseline, run(0, &[]), &[]);
        assert!(comparison.wants_more_steps(Side::Baseline, 0));
        comparison.push_steps(Side::Baseline, 0, before);
        let found = comparison.answer(&signatures(), |_| true, |_| None);
        assert_eq!((found.missing.len(), found.added.len()), (missing, added), "{now:?}");
    }
    assert_eq!(found.added.iter().map(item).collect::<Vec<_>>(), [Item::Step("mended".into())]);
}

#[test]
fn the_interval_is_wilsons() {
    let [low, high] = wilson(2, 21);
    assert_eq!((format!("{low:.3}"), format!("{high:.3}")), ("0.027".into(), "0.289".into()));
    assert_eq!(format!("{:.3}", 2.0 / 21.0), "0.095");
    assert_eq!(wilson(0, 0), [0.0, 1.0]);
}

#[test]
fn a_host_is_suspect_if_all_failures_are_its_own() {
    let on = |host: &str| Some(Arc::<str>::from(host));
    let looked = Looked { host: on("bad"), ..looked(9) };
    let mut comparison = Comparison::new(looked, &cases("F"), &[]);
    let hosts = ["good", "bad", "good", "bad", "good"];
    for (n, host) in hosts.iter().enumerate().rev() {
        let letters = if *host == "bad" { "F" } else { "P" };
        comparison.push(
            Side::Own,
            Run { host: on(host), ..run(n, &cases(letters)) },
            &cases(letters),
        );
    }
    let found = comparison.answer(&signatures(), |_| true, |_| None);
    assert_eq!(found.failures[0].host_suspect.as_deref(), Some("bad"));
}

/// What the rules say, taken literally, one test at a time.
struct Model<'a> {
    of: &'a str,
    /// Newest first.
    baseline: &'a [String],
    own: &'a [String],
    is_same_track: bool,
}

impl Model<'_> {
    fn letter(letters: &str, test: usize) -> char {
        letters.chars().nth(test).unwrap_or('.')
    }

    fn is_mass(letters: &str) -> bool {
        let ran = letters.chars().filter(|letter| "PLFG".contains(*letter)).count();
        let bad = letters.chars().filter(|letter| "FG".contains(*letter)).count();
        ran >= 20 && 2 * bad >= ran
    }

    /// The runs of a test in builds that count, newest first.
    fn runs(builds: &[String], test: usize) -> Vec<char> {
        let counted = builds.iter().filter(|letters| !Self::is_mass(letters));
        let letters = counted.map(|letters| Self::letter(letters, test));
        letters.filter(|letter| "PLFG".contains(*letter)).collect()
    }

    fn streak(runs: &[char]) -> usize {
        runs.iter().take_while(|letter| "FG".contains(**letter)).count()
    }

    /// The letters of flakes, of a test that is flaky.
    fn flakes(runs: &[char]) -> Option<BTreeSet<char>> {
        let mut flakes: BTreeSet<char> = runs.iter().filter(|l| **l == 'L').map(|_| 'F').collect();
        let retries = runs.iter().filter(|letter| **letter == 'L').count();
        let mut flips = 0;
        for long in 1..=2 {
            for window in runs.windows(long + 2) {
                let bad = |letter: &char| "FG".contains(*letter);
                if !bad(&window[0]) && window[1..=long].iter().all(bad) && !bad(&window[long + 1]) {
                    flips += 1;
                    flakes.extend(&window[1..=long]);
                }
            }
        }
        (retries >= 1 || flips >= 2).then_some(flakes)
    }

    fn class(&self, test: usize) -> Option<Class> {
        let now = Self::letter(self.of, test);
        if !"FG".contains(now) {
            return None;
        }
        let runs = Self::runs(self.baseline, test);
        let was_bad = runs.first().is_some_and(|letter| "FG".contains(*letter));
        let own = Self::streak(&Self::runs(self.own, test)) + 1;
        let baseline = Self::streak(&runs) + usize::from(self.is_same_track);
        let is_broken = own >= 3 || baseline >= 3;
        if was_bad && is_broken {
            return Some(Class::Failing);
        }
        let excused = Self::flakes(&runs).is_some_and(|flakes| flakes.contains(&now));
        if excused && !is_broken {
            return Some(Class::Flaky);
        }
        Some(if was_bad { Class::Failing } else { Class::New })
    }
}

proptest! {
    #[test]
    fn a_comparison_agrees_with_a_naive_model(
        of in "[PLSFG.]{3}|[PLSFG]{24}",
        baseline in proptest::collection::vec("[PPPLSFFG.]{3}|[PFFG]{24}", 1..9),
        own in proptest::collection::vec("[PPLSFFG.]{3}", 0..5),
        is_same_track: bool,
    ) {
        // Only by name is a mass failure a baseline.
        prop_assume!(!Model::is_mass(&baseline[0]));
        let own = if is_same_track { baseline.clone() } else { own };
        let looked = Looked { is_same_track, ..looked(50) };
        let mut comparison = Comparison::new(looked, &cases(&of), &[]);
        for (nth, letters) in baseline.iter().enumerate() {
            comparison.push(Side::Baseline, run(40 - nth, &cases(letters)), &cases(letters));
        }
        for (nth, letters) in own.iter().enumerate() {
            comparison.push(Side::Own, run(40 - nth, &cases(letters)), &cases(letters));
        }
        let found = comparison.answer(&signatures(), |_| true, |_| None);
        let model = Model { of: &of, baseline: &baseline, own: &own, is_same_track };
        let expected: Vec<Class> = (0..24).filter_map(|test| model.class(test)).collect();
        prop_assert_eq!(classes(&found), expected);
    }
}
