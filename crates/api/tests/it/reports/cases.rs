//! The test cases of a build: listed, selected and as objects.

use super::fixtures::with_report;
use crate::*;

#[test]
fn the_cases_of_a_build_are_listed_selected_and_paged() {
    let server = Server::new();
    let build = server.get(&with_report(&server));
    let tests = build.link("tests").unwrap();
    let all = server.get(&tests);
    assert_eq!((all.status, &all.json()["count"]), (200, &3.into()));
    let failed = server.get(&format!("{tests}?status=failed,error")).json();
    let case = &failed["tests"][0];
    assert_eq!(failed["tests"].as_array().unwrap().len(), 1);
    let twice = server.get(&format!("{tests}?status=failed&status=skipped")).json();
    assert_eq!(twice["tests"].as_array().unwrap().len(), 2);
    assert_eq!(
        case["failure"],
        serde_json::json!({"type": "E", "message": "no", "text": "at line 7"})
    );
    assert_eq!(
        (&case["stdout"], &case["suite"], &case["duration"]),
        (&"out".into(), &"a.B".into(), &1.5.into())
    );
    assert_eq!(server.get(&format!("{tests}?text=PASS")).json()["tests"][0]["name"], "passes");
    assert_eq!(server.get(&format!("{tests}?suite=other")).json()["tests"], serde_json::json!([]));

    let (mut page, mut names) = (format!("{tests}?per_page=2"), Vec::new());
    loop {
        let answer = server.get(&page);
        let found = answer.json()["tests"].clone();
        names.extend(
            found.as_array().unwrap().iter().map(|case| case["name"].as_str().unwrap().to_owned()),
        );
        let Some(next) = answer.link("next") else { break };
        page = next;
    }
    assert_eq!(names, ["passes", "fails [1/2]", "skipped"]);
    for wrong in [
        "status=bad",
        "per_page=0",
        "per_page=1001",
        "from=x",
        "after=00000000-0000-0000-0000-000000000000",
    ] {
        assert_eq!(server.get(&format!("{tests}?{wrong}")).status, 400, "{wrong}");
    }
    let etag = all.header("etag").to_owned();
    let again = server.request("GET", &tests).header("If-None-Match", &etag);
    assert_eq!(server.send(again).status, 304);
}

#[test]
fn links_to_other_pages_of_cases_keep_the_filter() {
    let server = Server::new();
    server.project("pony");
    let tests = r#"[{"name":"a","status":"failed"},{"name":"b","status":"failed"},{"name":"c","status":"failed"}]"#;
    let step = format!(r#"{{"name":"s","success":false,"tests":{tests}}}"#);
    server.put("/pony/builds/1", &format!(r#"{{"success":false,"results":[{step}]}}"#));
    let first = server.get("/pony/builds/1/tests?status=failed&per_page=1");
    assert!(first.link("first").unwrap().ends_with("/tests?status=failed&per_page=1"));
    let second = server.get(&first.link("next").unwrap());
    for rel in ["first", "next"] {
        assert!(second.link(rel).unwrap().contains("status=failed"), "{rel}");
    }
}

#[test]
fn cases_that_a_document_brings_are_the_builds() {
    let server = Server::new();
    server.project("pony");
    let body = r#"{"success":false,"results":[
        {"name":"a","success":true,"tests":[{"suite":"s","name":"x","status":"passed"}]},
        {"name":"b","success":false,"tests":[{"suite":"s","name":"y","status":"failed","failure":{"message":"no"},"owner":"me"}]}]}"#;
    let answer = server.put("/pony/builds/1", body);
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(server.put("/pony/builds/1", body).status, 200);
    assert_eq!(server.put("/pony/builds/1", &body.replace("\"no\"", "\"yes\"")).status, 409);
    let build = server.get("/pony/builds/1").json();
    assert_eq!((&build["tests"]["total"], &build["tests"]["failed"]), (&2.into(), &1.into()));
    assert_eq!(build["results"][0]["tests"], serde_json::Value::Null);
    let tests = server.get("/pony/builds/1/tests").json();
    assert_eq!(tests["tests"][1]["failure"]["message"], "no");
    assert_eq!(
        tests["tests"][1]["properties"],
        serde_json::json!([{"name": "owner", "value": "me"}])
    );
    assert_eq!(server.get("/pony/builds/1/receipt").json()["uploads"][0]["tests"]["total"], 2);

    let bad = r#"{"success":true,"results":[{"name":"a","success":true,"tests":[{"name":"x","status":"good"}]}]}"#;
    let refused = server.post("/pony/builds", bad);
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("results[0].tests[0].status"), "{}", refused.text());
}

#[test]
fn cases_are_objects_of_the_query_face() {
    let server = Server::new();
    with_report(&server);
    let listed = server.get("/api/v1/tests?where=project:pony,status:failed").json();
    assert_eq!(listed["_meta"]["count"], 1);
    let case = &listed["tests"][0];
    assert_eq!((&case["full_name"], &case["duration"]), (&"a.B::fails [1/2]".into(), &1.5.into()));
    assert_eq!(case["stdout"], serde_json::Value::Null);
    let id = case["id"].as_str().unwrap();
    let one = server.get(&format!("/api/v1/tests/{id}")).json();
    assert_eq!((&one["test"]["stdout"], &one["test"]["etag"]), (&"out".into(), &case["etag"]));
    assert_eq!(one["test"]["failure"]["message"], "no");
    for none in ["9", &format!("{}:7", id.split(':').next().unwrap()), "x:0"] {
        assert_eq!(server.get(&format!("/api/v1/tests/{none}")).status, 404, "{none}");
    }
    let of_build = id.split(':').next().unwrap();
    let slowest =
        server.get(&format!("/api/v1/tests?where=build_id:{of_build}&sort=-duration")).json();
    assert_eq!(slowest["tests"][0]["name"], "fails [1/2]");
    // Sorting all cases would read all of them.
    for sort in ["/api/v1/tests?sort=-duration", "/api/v1/tests?where=project:pony&sort=name"] {
        let refused = server.get(sort);
        assert_eq!(refused.status, 400);
        assert!(refused.text().contains("build_id"), "{}", refused.text());
    }
    let far = format!("/api/v1/tests?where=build_id:{of_build}&sort=name&offset=10000");
    assert_eq!(server.get(&far).status, 400);
    let far = format!("/api/v1/tests?where=build_id:{of_build}&offset=10000");
    assert_eq!(server.get(&far).status, 200);
    assert_eq!(server.get("/api/v1/tests?query=ge(duration,1)").json()["_meta"]["count"], 1);
}
