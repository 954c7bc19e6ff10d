//! A build in which a test became slower.

use super::*;

#[test]
fn a_test_is_slower_in_its_own_track_after_three_slow_builds() {
    let case = |took: f32| Case { took: Some(took), ..cases("P")[0] };
    let told = |times: &[f32]| {
        let (of, before) = times.split_last().unwrap();
        let mut comparison = Comparison::new(looked(before.len()), &[case(*of)], &[]);
        for (n, took) in before.iter().enumerate().rev() {
            comparison.push(Side::Own, run(n, &[case(*took)]), &[case(*took)]);
        }
        let found = comparison.answer(&signatures(), |_| true, |_| None).slower;
        found.iter().map(|(_, slow)| slow.limit).collect::<Vec<_>>()
    };
    let mut times: Vec<f32> = (0..20).map(|n| 2.0 + 0.01 * n as f32).collect();
    times.push(4.0);
    assert!(told(&times).is_empty());
    times.extend([4.2, 4.1]);
    assert!((told(&times)[0] - 3.1425).abs() < 0.01);
    // Once it is fast again, nothing is said.
    times.push(2.0);
    assert!(told(&times).is_empty());
}
