//! What a closed issue settles, and where a failure was seen first.

use super::*;

/// The classes of a build of a branch after the flaky story, with an issue that was closed then.
fn after_closing(second: Option<i64>) -> Vec<Class> {
    let mainline = flaky_story();
    let mut comparison = Comparison::new(looked(mainline.len()), &cases("F"), &[]);
    for (n, letters) in mainline.iter().enumerate().rev() {
        comparison.push(Side::Baseline, run(n, &cases(letters)), &cases(letters));
    }
    let closed = second.and_then(|second| Timestamp::from_parts(second * 1_000_000, 0));
    classes(&comparison.answer(&signatures(), |_| true, |_| closed))
}

#[test]
fn evidence_from_before_an_issue_was_closed_is_settled() {
    assert_eq!(after_closing(None), [Class::Flaky]);
    assert_eq!(after_closing(Some(4)), [Class::Flaky]);
    // Of two flips, one is left.
    assert_eq!(after_closing(Some(5)), [Class::New]);
}

#[test]
fn a_failure_was_seen_first_where_it_had_the_same_signature() {
    let seen = |builds: &[&str]| last_of(builds).failures[0].first_seen;
    assert_eq!(seen(&["G", "F", "P", "G", "F"]), id(1));
    assert_eq!(seen(&["P", "G", "F"]), id(2));
}
