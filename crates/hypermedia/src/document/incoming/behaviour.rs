//! Tests.

#![expect(clippy::unwrap_used, reason = "tests")]
use super::super::read::parse;
use super::*;

fn report(json: &str) -> Result<Report, DocumentError> {
    let received = "2026-01-02T03:04:05Z".parse().unwrap();
    parse::<IncomingBuild>(json.as_bytes())?.into_report(received, None)
}

fn refused(json: &str) -> String {
    report(json).unwrap_err().to_string()
}

#[test]
fn the_smallest_build_is_filled_up_with_the_time_of_receipt() {
    let report = report(r#"{"success": true}"#).unwrap();
    assert_eq!(report.started, report.received);
    assert_eq!(report.outcome, Outcome::Finished { success: true, finished: report.received });
    assert_eq!((report.steps.len(), report.client.0.as_str()), (0, ""));
}

#[test]
fn what_clients_add_is_kept_as_sent() {
    let json = r#"{"success":true,"client":{"zeta": 1.00 ,"host":"h","n":123456789012345678901234567890,"d":{"k":1,"k":2}},
                       "results":[{"name":"s","success":true,"x":[1e999,"\u0000"],"output":"a\u0000\u001b[0m"}]}"#;
    let report = report(json).unwrap();
    assert_eq!(
        report.client.0.as_str(),
        r#"{"zeta":1.00,"host":"h","n":123456789012345678901234567890,"d":{"k":1,"k":2}}"#
    );
    assert_eq!(report.steps[0].extras.as_str(), r#"{"x":[1e999,"\u0000"]}"#);
    assert_eq!(report.steps[0].output, "a\0\u{1b}[0m");
}

#[test]
fn null_counts_as_absent_in_what_is_optional() {
    let json = r#"{"success":true,"started":null,"tags":null,"client":{"host":null,"x":null},
                       "results":[{"name":"s","success":true,"output":null,"finished":null}]}"#;
    let report = report(json).unwrap();
    assert_eq!(report.client.0.as_str(), r#"{"x":null}"#);
    assert_eq!(report.steps[0].finished, report.received);
}

#[test]
fn every_refusal_names_the_member_by_its_path() {
    for (json, path) in [
        (r#"{}"#, "success: required"),
        (r#"{"success":null}"#, "success: required"),
        (r#"{"success":"yes"}"#, "success: "),
        (r#"{"success":true,"started":"soon"}"#, "started: 'soon'"),
        (
            r#"{"success":true,"results":[{"name":"a","success":true},{"success":true}]}"#,
            "results[1].name: required",
        ),
        (
            r#"{"success":true,"results":[{"name":"a","success":true,"started":"x"}]}"#,
            "results[0].started: 'x'",
        ),
        (
            r#"{"success":true,"results":[{"name":"a","success":true,"x":"\ud800"}]}"#,
            "results[0].x: a lone surrogate",
        ),
        (
            r#"{"success":true,"results":[{"name":"a","success":true,"output":"\ud800"}]}"#,
            "results[0].output: ",
        ),
        (
            r#"{"success":true,"results":[{"name":"a","success":true,"name":"b"}]}"#,
            "results[0].name: given twice",
        ),
        (
            r#"{"success":true,"results":[{"name":"a","success":true,"x":1,"x":2}]}"#,
            "results[0].x: given twice",
        ),
        (r#"{"success":true,"results":{}}"#, "results: "),
        (r#"{"success":true,"tags":["a","b;c"]}"#, "tags[1]: "),
        (r#"{"success":true,"client":{"host":5}}"#, "client.host: "),
        (r#"{"success":true,"client":{"host":"a","host":"b"}}"#, "client.host: given twice"),
        (r#"{"success":true,"client":[]}"#, "client: "),
        (r#"{"success":true,"success":false}"#, "success: given twice"),
        (r#"{"success":true,"ignored":"\udc00"}"#, "the body contains a lone surrogate"),
        (r#"{"success":tru"#, "the body is not JSON: "),
        (r#"[true,null,null,null,null,null,null]"#, "the body is not a JSON object"),
        ("", "the body is not JSON: "),
    ] {
        let message = refused(json);
        assert!(message.starts_with(path), "{json}: {message}");
    }
    assert!(parse::<IncomingBuild>(b"{\"success\":true,\"x\":\"\xff\"}").is_err());
    let many: Vec<_> = (0..101).map(|n| format!("\"{n}\"")).collect();
    assert!(
        refused(&format!(r#"{{"success":true,"tags":[{}]}}"#, many.join(",")))
            .starts_with("tags: ")
    );
    let nested =
        format!(r#"{{"success":true,"client":{{"x":{}{}}}}}"#, "[".repeat(200), "]".repeat(200));
    assert!(refused(&nested).starts_with("client.x: nested"));
}

#[test]
fn one_document_has_one_digest_whatever_its_spaces() {
    let digest = |json: &str| parse::<IncomingBuild>(json.as_bytes()).unwrap().digest();
    let one = digest(r#"{"success":true,"tags":["a","b"],"results":[]}"#);
    assert_eq!(one, digest(r#"{ "tags": ["b", "a", "b"], "success": true }"#));
    assert_ne!(one, digest(r#"{"success":false,"tags":["a","b"]}"#));
    assert_ne!(one, digest(r#"{"success":true,"tags":["ab"]}"#));
    assert_ne!(one, digest(r#"{"success":true,"tags":["a","b"],"client":{"x":1}}"#));
    let extras = digest(
        r#"{"success":true,"client":{"host":"h","x":{"a":1,"b":[1,{"c":"\u00e9","d":null}]}},
                "results":[{"name":"s","success":true,"p":{"q":1,"r":2},"z":[]}]}"#,
    );
    let otherwise = r#"{"results": [ {"z": [ ], "success": true, "p": { "r": 2, "q":1 }, "name": "s"} ],
            "client": {"x": {"b": [1, {"d": null, "c": "é"}], "a": 1}, "host": "h"}, "success": true}"#;
    assert_eq!(extras, digest(otherwise));
    for (one, other) in
        [("[1, {", "[{"), ("\"q\":1", "\"q\":\"1\""), ("\"q\":1", "\"q\":1.0"), ("null", "0")]
    {
        assert_ne!(extras, digest(&otherwise.replace(one, other)), "{one}");
    }
    let with_test = |status: &str| {
        digest(&format!(
            r#"{{"success":true,"results":[{{"name":"s","success":true,"tests":[{{"name":"t","status":"{status}"}}]}}]}}"#
        ))
    };
    assert_ne!(with_test("passed"), with_test("failed"));
}

#[test]
fn many_members_are_told_apart() {
    let members: Vec<_> = (0..100).map(|n| format!("\"m{n}\":{n}")).collect();
    assert!(report(&format!(r#"{{"success":true,"client":{{{}}}}}"#, members.join(","))).is_ok());
    assert!(
        refused(&format!(r#"{{"success":true,"client":{{{},"m70":1}}}}"#, members.join(",")))
            .starts_with("client.m70")
    );
    assert!(
        refused(&format!(r#"{{"success":true,"client":{{{},"m3":1}}}}"#, members.join(",")))
            .starts_with("client.m3")
    );
}
