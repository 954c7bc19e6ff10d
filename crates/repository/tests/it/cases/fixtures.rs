//! Test cases, reports of them, and questions about them.

use crate::*;

pub(crate) fn result(suite: &str, name: &str, status: TestStatus) -> TestResult {
    let failure = status.is_bad().then(|| TestFailure {
        kind: Some("E".into()),
        message: Some("no".into()),
        text: Some("at line 7\n".repeat(100)),
    });
    TestResult {
        suite: suite.into(),
        name: name.into(),
        status,
        micros: Some(1500),
        failure,
        details: Details::default(),
    }
}

pub(super) fn report(tests: Vec<TestResult>, receipt: &str) -> TestReport {
    TestReport { tests: tests.into(), receipts: vec![receipt.into()], ..TestReport::default() }
}

pub(crate) fn with_tests(project: &Project, started: &str, tests: Vec<TestResult>) -> NewBuild {
    NewBuild {
        test_report: report(tests, "{\"format\":\"junit\"}"),
        ..build(project, started, &[])
    }
}

pub(super) fn all(project: &Project, build: BuildId) -> TestQuery {
    TestQuery::all(project.id, build)
}

pub(super) fn results(store: &Store, query: &TestQuery) -> Vec<TestResult> {
    store.test_list(query).unwrap().into_iter().map(|placed| placed.result).collect()
}
