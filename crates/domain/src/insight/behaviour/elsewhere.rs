//! What other tracks say.

use super::*;

/// A comparison with a good baseline, and with the newest builds of other tracks, newest first.
fn beside(others: &[(bool, &[&str])], of: &str) -> Answer<u8> {
    let mut comparison = Comparison::new(looked(9), &cases(of), &[]);
    comparison.push(Side::Baseline, run(8, &cases("P")), &cases("P"));
    for (is_same_variant, builds) in others {
        comparison.add_other(*is_same_variant);
        for (nth, letters) in builds.iter().enumerate() {
            let revision = Some("abcdef1".into());
            let run = Run { revision, ..run(7 - nth, &cases(letters)) };
            comparison.push_elsewhere(run, &cases(letters), &[]);
        }
    }
    comparison.answer(&signatures(), |_| true, |_| None)
}

#[test]
fn a_rerun_on_another_branch_of_the_variant_makes_a_test_flaky() {
    let found = beside(&[(true, &["P", "F"])], "F");
    assert_eq!(classes(&found), [Class::Flaky]);
    assert!(found.failures[0].flaky.as_ref().unwrap().elsewhere);
    // Not with another text, nor of another variant.
    assert_eq!(classes(&beside(&[(true, &["P", "G"])], "F")), [Class::New]);
    assert_eq!(classes(&beside(&[(false, &["P", "F"])], "F")), [Class::New]);
    assert!(beside(&[(true, &["P", "F"])], "L").new_flaky.is_empty());
}

#[test]
fn what_came_of_a_test_elsewhere_is_counted_by_the_newest_builds() {
    let found =
        beside(&[(true, &["F", "P"]), (false, &["G"]), (true, &["P", "F"]), (true, &["."])], "F");
    let elsewhere = &found.failures[0].elsewhere;
    assert_eq!((elsewhere.tracks, elsewhere.ran, elsewhere.bad), (4, 3, 2));
    assert_eq!((elsewhere.same_signature, elsewhere.bad_in.as_slice()), (1, &[0, 1][..]));
}
