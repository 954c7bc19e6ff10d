//! squad-client and codecov-cli.

use std::io::Write;

use super::*;

fn submit(server: &Server, environment: &str, tests: &str) -> Answer {
    let boundary = uuid::Uuid::new_v4().simple().to_string();
    let form = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"tests\"\r\n\r\n{tests}\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{{\"job_id\": \"77\"}}\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"attachment\"; filename=\"a.bin\"\r\n\r\nxyz\r\n--{boundary}--\r\n"
    );
    let request = server.request("POST", &format!("/api/submit/acme/pony/v1/{environment}/"));
    let content_type = format!("multipart/form-data; boundary={boundary}");
    server.send(request.header("Content-Type", &content_type).body(form.as_bytes()))
}

#[test]
fn a_submission_of_squad_is_a_finished_build_of_its_environment() {
    on_both(|server| {
        let first =
            submit(server, "arm", r#"{"s/a": "pass", "s/b": {"result": "fail", "log": "boom"}}"#);
        assert_eq!((first.status, first.text().parse::<u64>().is_ok()), (201, true));
        submit(server, "arm", r#"{"s/a": "pass", "s/b": {"result": "fail", "log": "boom"}}"#);
        submit(server, "x86", r#"{"s/a": "pass"}"#);
        let [other, build] = builds(server, "pony").try_into().unwrap();
        assert_eq!((&other["success"], &other["tags"]), (&json!(true), &json!(["x86"])));
        assert_eq!((&build["state"], &build["success"]), (&json!("finished"), &json!(false)));
        assert_eq!(
            (&build["tests"]["total"], &build["client"]["job_id"]),
            (&json!(2), &json!("77"))
        );
        // More of the same run.
        submit(server, "arm", r#"{"s/c": "skip"}"#);
        let [_, build] = builds(server, "pony").try_into().unwrap();
        assert_eq!((&build["state"], &build["tests"]["total"]), (&json!("finished"), &json!(3)));
        assert_eq!(submit(server, "arm", "[").status, 400);
    });
}

#[test]
fn test_results_of_codecov_come_to_an_address_that_only_the_client_knows() {
    on_both(|server| {
        let about = json!({"slug": "acme::::pony", "commit": "1f0c2a9b7d7f4e5f8f7a6c5b4d3e2f1a0b9c8d7e", "branch": "main", "name": "unit", "flags": ["arm"]});
        let announce = || {
            let request = server.request("POST", "/upload/test_results/v1");
            let request = request.header("Authorization", "token alice:alice-pw");
            let answer = server.send(request.json(about.to_string()));
            assert_eq!(answer.status, 200, "{}", answer.text());
            let place = answer.json()["raw_upload_location"].as_str().unwrap().to_owned();
            place.split_once(&server.address).unwrap().1.to_owned()
        };
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"<testsuite name='s'><testcase name='a'/><testcase name='b'><failure>no</failure></testcase></testsuite>").unwrap();
        let data = devmason_test_support::http::base64(&packed.finish().unwrap());
        let files = json!({"test_results_files": [{"filename": "/x/junit.xml", "format": "base64+compressed", "data": data}]});
        let (first, second) = (announce(), announce());
        assert_ne!(first, second);
        for place in [&first, &first, &second] {
            let sent = server.put(place, &files.to_string());
            assert_eq!(sent.status, 200, "{}", sent.text());
        }
        let [build] = builds(server, "pony").try_into().unwrap();
        assert_eq!((names(&build), &build["tests"]["total"]), (vec!["junit.xml"], &json!(2)));
        assert_eq!((&build["state"], &build["success"]), (&json!("finished"), &json!(false)));
        assert_eq!((&build["client"]["branch"], &build["tags"]), (&json!("main"), &json!(["arm"])));
        assert_eq!(server.put(&format!("{first}0"), &files.to_string()).status, 404);
        let anonymous = server.post("/upload/test_results/v1", &about.to_string());
        assert_eq!(anonymous.status, 401, "alice began this build");
    });
}
