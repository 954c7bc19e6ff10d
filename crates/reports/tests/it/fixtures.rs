//! Files that real tools wrote, made by `fixtures/make`: what they are recognized as, and what they hold.

use std::path::Path;

use super::*;

fn fixture(name: &str) -> Read {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures").join(name);
    Read::from_bytes(&std::fs::read(path).unwrap(), None)
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn what_real_tools_write_is_counted_right() {
    // Passed, flaky, skipped, failed, error.
    for (name, format, expected) in [
        // The suite that a fixture broke says that it has no test and one error.
        ("ant.xml", Format::Junit, [3, 0, 2, 3, 3]),
        ("bats.tap", Format::Tap, [1, 0, 1, 1, 0]),
        ("bats.xml", Format::Junit, [1, 0, 1, 1, 0]),
        ("ctest-junit.xml", Format::Junit, [1, 0, 2, 2, 0]),
        ("ctest.xml", Format::Ctest, [1, 0, 1, 1, 2]),
        ("dotnet.trx", Format::Trx, [5, 0, 3, 2, 0]),
        ("go.json", Format::Go, [4, 0, 1, 1, 2]),
        ("jest-ctrf.json", Format::Ctrf, [1, 1, 2, 1, 0]),
        ("jest.trx", Format::Trx, [2, 0, 2, 1, 0]),
        // jest-junit writes a test that is still to be written like one that passed.
        ("jest.xml", Format::Junit, [3, 0, 1, 1, 0]),
        ("libtest.json", Format::Libtest, [1, 0, 1, 2, 0]),
        ("mocha.tap", Format::Tap, [1, 0, 1, 1, 0]),
        ("mocha.trx", Format::Trx, [1, 0, 1, 1, 0]),
        ("mocha.xml", Format::Junit, [1, 0, 1, 1, 0]),
        ("nextest.json", Format::Libtest, [1, 1, 1, 1, 0]),
        ("nextest.xml", Format::Junit, [1, 1, 0, 1, 0]),
        ("node.tap", Format::Tap, [1, 0, 2, 2, 0]),
        ("node.xml", Format::Junit, [1, 0, 2, 2, 0]),
        ("nunit2.xml", Format::Nunit, [8, 0, 6, 3, 1]),
        ("nunit3-pytest.xml", Format::Nunit, [5, 0, 1, 2, 0]),
        ("perl.tap", Format::Tap, [2, 0, 2, 2, 0]),
        ("phpunit.xml", Format::Junit, [3, 0, 1, 1, 1]),
        ("pytest.xml", Format::Junit, [4, 0, 2, 2, 1]),
        ("pytest-reruns.xml", Format::Junit, [5, 0, 2, 1, 1]),
        ("surefire.xml", Format::Junit, [1, 0, 2, 2, 2]),
        ("surefire-broken.xml", Format::Junit, [0, 0, 0, 0, 1]),
        ("surefire-junit5.xml", Format::Junit, [6, 0, 2, 3, 1]),
        ("surefire-reruns.xml", Format::Junit, [1, 2, 2, 1, 1]),
        ("surefire-values.xml", Format::Junit, [2, 0, 0, 1, 0]),
        ("xunit-jest.xml", Format::Xunit, [2, 0, 2, 1, 0]),
        ("xunit-mocha.xml", Format::Xunit, [2, 0, 1, 2, 0]),
    ] {
        let read = fixture(name);
        assert_eq!((read.format, counts(&read)), (format, expected), "{name}: {:#?}", cases(&read));
    }
}

#[test]
fn what_real_tools_say_of_a_case_is_kept() {
    let pytest = fixture("pytest.xml");
    let passes = &pytest.cases[0];
    assert_eq!(
        (passes.class.as_deref(), passes.name.as_str()),
        (Some("test_sample"), "test_passes")
    );
    assert_eq!(passes.properties, [("ticket".to_owned(), "42".to_owned())]);
    assert!(passes.micros.is_some());
    let fails = &pytest.cases[1];
    let failure = fails.failure.as_ref().unwrap();
    assert!(failure.message.as_ref().unwrap().contains("one is not two <&>"));
    assert!(failure.text.as_ref().unwrap().contains("test_sample.py"));

    let surefire = fixture("surefire-reruns.xml");
    let fails = surefire.cases.iter().find(|case| case.name == "fails").unwrap();
    let failure = fails.failure.as_ref().unwrap();
    assert_eq!(
        (fails.retries, failure.text.as_ref().unwrap().matches("one is not two").count()),
        (2, 5)
    );

    let flaky =
        fixture("nextest.json").cases.into_iter().find(|case| case.outcome() == Status::Flaky);
    assert_eq!(flaky.unwrap().retries, 1);

    let go = fixture("go.json");
    let unbuilt = go.cases.iter().find(|case| case.group().ends_with("unbuilt")).unwrap();
    assert_eq!(unbuilt.failure.as_ref().unwrap().message.as_deref(), Some("build failed"));

    let node = fixture("node.tap");
    let inner = node.cases.iter().find(|case| case.name == "throws # hash").unwrap();
    assert_eq!(*inner.suites, ["outer", "inner"]);
    assert_eq!(inner.failure.as_ref().unwrap().message.as_deref(), Some("boom"));
}
