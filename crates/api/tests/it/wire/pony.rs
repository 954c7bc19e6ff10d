//! pony-build's client of 2010.

use super::*;

fn member(name: &str, value: &str) -> String {
    format!("<member><name>{name}</name><value>{value}</value></member>\n")
}

fn info(success: bool) -> String {
    let tags = "<array><data><value><string>nightly</string></value></data></array>";
    let members = [
        member("package", "<string>pony</string>"),
        member("success", &format!("<boolean>{}</boolean>", u8::from(success))),
        member("host", "<string>lab</string>"),
        member("arch", "<string>x86</string>"),
        member("tags", tags),
        member("duration", "<double>2.5</double>"),
    ];
    format!("<struct>{}</struct>", members.concat())
}

fn call(server: &Server, method: &str, arguments: &[&str]) -> Answer {
    let params: String =
        arguments.iter().map(|one| format!("<param><value>{one}</value></param>")).collect();
    let text = format!(
        "<?xml version='1.0'?><methodCall><methodName>{method}</methodName><params>{params}</params></methodCall>"
    );
    let request = server.request("POST", "/xmlrpc").header("Content-Type", "text/xml");
    server.send(request.body(text.as_bytes()))
}

fn texts(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    let each = text.split("<string>").skip(1);
    each.map(|rest| rest.split("</string>").next().unwrap().to_owned()).collect()
}

fn add(server: &Server, success: bool) -> Vec<String> {
    let step = [
        member("status", "<int>1</int>"),
        member("name", "<string>make</string>"),
        member("out", "<string>red \u{1b}[31m</string>"),
        member("command", "<string>make</string>"),
    ];
    let results =
        format!("<array><data><value><struct>{}</struct></value></data></array>", step.concat());
    texts(&call(server, "add_results", &[&info(success), &results]))
}

#[test]
fn a_build_comes_in_one_call_and_the_same_again_is_one() {
    on_both(|server| {
        let said = add(server, false);
        assert_eq!(add(server, false), said);
        assert_eq!(said.len(), 2);
        let [build] = builds(server, "pony").try_into().unwrap();
        assert_eq!((&build["state"], &build["success"]), (&json!("finished"), &json!(false)));
        assert_eq!((&build["id"], &build["tags"]), (&json!(said[0]), &json!(["nightly"])));
        assert_eq!(
            (&build["client"]["host"], &build["client"]["arch"]),
            (&json!("lab"), &json!("x86"))
        );
        let step = &build["results"][0];
        assert_eq!(
            (&step["name"], &step["success"], &step["output"]),
            (&json!("make"), &json!(false), &json!("red \u{1b}[31m"))
        );
        assert_eq!((&step["command"], &step["status"]), (&json!("make"), &json!(1)));
        let upload = |key: &str| {
            let path = format!("/upload?filename=a.txt&description=d&visible=no&auth_key={key}");
            let request = server.request("POST", &path);
            let request = request.header("Content-Type", "application/x-www-form-urlencoded");
            server.send(request.body(b"bytes")).status
        };
        assert_eq!((upload(&said[1]), upload(&said[1])), (200, 200));
        assert_eq!((upload("1-x"), upload("")), (404, 404));
        let receipt = server.get(&format!("/pony/builds/{}/receipt", said[0])).json();
        let uploads = receipt["uploads"].as_array().unwrap();
        assert_eq!((uploads.len(), &uploads[1]["file"]), (2, &json!("a.txt")));
        assert_eq!(builds(server, "pony")[0]["state"], "finished");
    });
}

#[test]
fn a_client_builds_unless_such_a_build_was_good_today() {
    let server = Server::new();
    let should = || {
        let answer = call(
            &server,
            "check_should_build",
            &[&info(true), "<boolean>1</boolean>", "<int>60</int>"],
        );
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text().contains("<boolean>1</boolean>")
    };
    assert!(should());
    add(&server, false);
    assert!(should());
    add(&server, true);
    assert!(!should());
}

#[test]
fn what_is_wrong_is_a_fault() {
    let server = Server::new();
    let fault = |answer: Answer| {
        assert_eq!((answer.status, answer.header("content-type")), (200, "text/xml"));
        assert!(answer.text().contains("<fault>"), "{}", answer.text());
        answer.text()
    };
    assert!(fault(call(&server, "get_results", &[])).contains("get_results"));
    assert!(fault(call(&server, "add_results", &["<struct></struct>"])).contains("results"));
    let request = server.request("POST", "/xmlrpc").body(b"no XML");
    fault(server.send(request));
    let closed = Server::of(Registration::Closed, Reading::Open, &[]);
    assert_eq!(call(&closed, "check_should_build", &[&info(true)]).status, 401);
}

#[test]
fn who_may_not_report_any_more_may_not_upload_either() {
    let server = Server::new();
    let alice = server.as_user("alice");
    assert_eq!(alice.send("PUT", "/pony", r#"{"name":"pony"}"#).status, 201);
    let said = add(&server, true);
    let owner = alice.send("PUT", "/pony", r#"{"name":"pony","reporting":"owner"}"#);
    assert_eq!(owner.status, 200);
    let path = format!("/upload?filename=a.txt&auth_key={}", said[1]);
    assert_eq!(server.send(server.request("POST", &path).body(b"bytes")).status, 401);
}
