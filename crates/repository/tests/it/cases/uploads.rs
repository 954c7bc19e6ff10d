//! Uploads are kept for a while and read again.

use super::fixtures::{all, report, result, results};
use crate::*;

conformance!(uploads_are_kept_and_read_again, uploads_go_when_they_are_old_or_too_many);

fn uploads_are_kept_and_read_again(store: &Store) {
    let project = store.project("p");
    let mut open = running(&project);
    open.test_report.document = Some("\"build\"".into());
    let id = open.id;
    store.record(open);
    let body = |nth: usize| bytes::Bytes::from(format!("<{nth}/>").repeat(100));
    let raw = |nth: usize| RawUpload {
        received: at("2026-01-01T00:00:00Z"),
        content_type: "text/xml".into(),
        said: "name=x".into(),
        one_step: true,
        body: RawBody::Given(body(nth)),
    };
    // A step from a document, and two from uploads in one batch, the second without cases.
    let steps: Vec<NewStep> = (0..3)
        .map(|nth| {
            let tests = vec![result("s", &format!("t{nth}"), TestStatus::Passed); 2 - nth];
            let mut test_report = TestReport { tests: tests.into(), ..TestReport::default() };
            if nth > 0 {
                test_report.receipts = vec![format!("{nth}")];
                let mut upload = raw(nth);
                if nth == 2 {
                    upload.body = RawBody::Packed(store.upload_pack(&body(nth)));
                }
                test_report.upload = Some(upload);
            } else {
                test_report.document = Some("\"step\"".into());
            }
            NewStep {
                project: project.id,
                build: id,
                step: step(&format!("s{nth}"), true),
                test_report,
                claim: None,
            }
        })
        .collect();
    assert_eq!(store.step_append_many(&steps).unwrap(), vec![Appended::Done; 3]);
    let kept = store.upload_list(project.id, id).unwrap();
    let piece = |first, count| Piece { first, count };
    let places: Vec<_> = kept
        .iter()
        .map(|upload| (upload.nth, upload.steps, upload.tests, upload.receipts))
        .collect();
    assert_eq!(
        places,
        [(0, piece(1, 1), piece(2, 1), piece(0, 1)), (1, piece(2, 1), piece(3, 0), piece(1, 1))]
    );
    assert_eq!(
        (kept[1].content_type.as_str(), kept[1].said.as_str(), kept[1].one_step),
        ("text/xml", "name=x", true)
    );
    assert_eq!(store.upload_body(project.id, id, 1).unwrap(), Some(body(2).to_vec()));
    assert_eq!(store.upload_body(project.id, id, 2).unwrap(), None);

    let documents = vec!["\"build\"".to_owned(), "\"step\"".to_owned()];
    assert_eq!(store.receipt_list(project.id, id, 9).unwrap().documents, documents);
    store.build_close(project.id, id, Closing::default(), Timestamp::now()).unwrap();
    let build = store.find(&project, id);
    let tests = vec![result("s", "t0", TestStatus::Passed), result("s", "new", TestStatus::Failed)];
    let reread = Reread {
        steps: vec![step("s0", true), step("again", false)],
        report: report(tests.clone(), "\"again\""),
        uploads: vec![KeptUpload {
            steps: piece(1, 1),
            tests: piece(1, 1),
            receipts: piece(0, 1),
            ..kept[0].clone()
        }],
        success: Some(false),
        now: Timestamp::now(),
    };
    assert_eq!(store.build_reread(&build, &reread).unwrap(), Updated::Done(()));
    assert_eq!(store.build_reread(&build, &reread).unwrap(), Updated::Stale);
    let now = store.find(&project, id);
    assert_eq!((now.steps, now.failed_steps, now.tests.total, now.tests.failed), (2, 1, 2, 1));
    assert!(matches!(now.outcome, Outcome::Finished { success: false, .. }));
    assert_eq!(store.steps(&now), reread.steps);
    assert_eq!(results(store, &all(&project, id)), tests);
    let receipts = store.receipt_list(project.id, id, 9).unwrap();
    assert_eq!((receipts.documents, receipts.files), (documents, vec!["\"again\"".to_owned()]));
    assert_eq!(store.upload_list(project.id, id).unwrap()[0].tests, piece(1, 1));
    store.build_delete(project.id, id, None).unwrap();
    assert_eq!(store.build_reread(&now, &reread).unwrap(), Updated::Gone);
    assert!(store.upload_list(project.id, id).unwrap().is_empty());
}

fn uploads_go_when_they_are_old_or_too_many(store: &Store) {
    let project = store.project("p");
    let with_upload = |received: Timestamp| {
        let upload = Some(RawUpload {
            received,
            content_type: String::new(),
            said: String::new(),
            one_step: false,
            // Incompressible data.
            body: RawBody::Given((0..250).flat_map(|_| *uuid::Uuid::new_v4().as_bytes()).collect()),
        });
        let test_report = TestReport { upload, ..TestReport::default() };
        let new = NewBuild { test_report, ..build(&project, "2026-01-01T00:00:00Z", &[]) };
        let id = new.id;
        assert_eq!(store.record(new), Recorded::New);
        id
    };
    let now = Timestamp::now();
    let before =
        |hours: i64| Timestamp::from_parts(now.micros() - hours * 3_600_000_000, 0).unwrap();
    let ids = [30, 20, 10, 0].map(|hours| with_upload(before(hours)));
    while store.purge(now, KEEP).unwrap() {}
    // One is too old; of the other three, which exceed the total size, two stay.
    let kept = ids.map(|id| store.upload_list(project.id, id).unwrap().len());
    assert_eq!(kept, [0, 0, 1, 1]);
    store.project_delete(project.id, None).unwrap();
    while store.purge(now, KEEP).unwrap() {}
    assert!(store.upload_list(project.id, ids[3]).unwrap().is_empty());
}
