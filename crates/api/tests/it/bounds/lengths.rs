//! Lengths and counts of what clients may send, and that they are documented.

use devmason_domain::limits;
use serde_json::json;

use crate::*;

#[test]
fn names_in_report_files_are_cut_and_shared() {
    let server = Server::new();
    server.project("pony");
    let name = "n".repeat(50_000);
    let mut report = String::from("<testsuites>");
    for _ in 0..20 {
        report += &format!("<testsuite name='{name}'>");
    }
    report += &format!("<testcase name='{name}'/><testcase classname='{name}' name='b'/>");
    report += &"</testsuite>".repeat(20);
    report += "</testsuites>";
    let request = server.request("POST", "/pony/builds").header("Content-Type", "text/xml");
    let answer = server.send(request.body(report.as_bytes()));
    assert_eq!(answer.status, 201, "{}", answer.text());
    let build = answer.header("location").to_owned();
    let tests = server.get(&format!("{build}/tests")).json();
    for test in tests["tests"].as_array().unwrap() {
        assert!(test["suite"].as_str().unwrap().len() <= limits::NAME);
        assert!(test["name"].as_str().unwrap().len() <= limits::NAME);
    }
    assert!(
        server.get(&build).json()["results"][0]["name"].as_str().unwrap().len() <= limits::NAME
    );
    let receipt = server.get(&format!("{build}/receipt")).json();
    let notes = receipt["uploads"][0]["notes"].as_array().unwrap();
    assert!(
        notes
            .iter()
            .any(|note| note["kind"] == "cut" && note["text"].as_str().unwrap().len() < 500)
    );
}

#[test]
fn what_a_document_may_have_is_bounded_member_by_member() {
    let server = Server::new();
    server.project("pony");
    let refused = |document: Value| {
        let answer = server.post("/pony/builds", &document.to_string());
        assert_eq!(answer.status, 400, "{}", answer.text());
        answer.json()["payload"]["field"].as_str().unwrap().to_owned()
    };
    let long = "n".repeat(limits::NAME + 1);
    let members = |n: usize| -> Value {
        (0..n).map(|n| (format!("m{n}"), json!(1))).collect::<serde_json::Map<_, _>>().into()
    };
    let step = |name: &str| json!({"name": name, "success": true});
    let id = || json!(uuid::Uuid::new_v4().to_string());
    for (document, field) in [
        (
            json!({"success": true, "tags": (0..=limits::TAGS).collect::<Vec<_>>().iter().map(|n| n.to_string()).collect::<Vec<_>>()}),
            "tags",
        ),
        (
            json!({"success": true, "components": (0..=limits::COMPONENTS).map(|_| id()).collect::<Vec<_>>()}),
            "components",
        ),
        (json!({"success": true, "client": members(limits::MEMBERS + 1)}), "client"),
        (json!({"success": true, "client": {"x": "y".repeat(limits::CLIENT)}}), "client"),
        (json!({"success": true, "client": {"host": &long}}), "client.host"),
        (json!({"success": true, "client": {(long.clone()): 1}}), "client"),
        (json!({"success": true, "results": vec![step("s"); limits::STEPS + 1]}), "results"),
        (json!({"success": true, "results": [step(&long)]}), "results[0].name"),
        (
            json!({"success": true, "results": [{"name": "s", "success": true, "tests": [{"name": &long, "status": "passed"}]}]}),
            "results[0].tests[0].name",
        ),
        (
            json!({"success": true, "results": [{"name": "s", "success": true, "tests": [{"name": "t", "suite": &long, "status": "passed"}]}]}),
            "results[0].tests[0].suite",
        ),
    ] {
        let named = refused(document);
        assert!(named.starts_with(field), "{named} for {field}");
    }
    // Duplicates count once.
    let type_id =
        server.post("/api/v1/componenttypes", r#"{"name":"kernel"}"#).json()["componenttype"]["id"]
            .clone();
    let component = server
        .post("/api/v1/components", &json!({"name": "6.12", "componenttype": type_id}).to_string());
    let id = component.json()["component"]["id"].clone();
    let named = json!({"type": "kernel", "name": "6.12"});
    let doubled: Vec<&Value> = [&id, &named].into_iter().cycle().take(1_000).collect();
    let build = server.build("pony", &json!({"success": true, "components": doubled}).to_string());
    assert_eq!(server.get(&build).json()["components"], json!([id]));
    let unknown =
        json!({"success": true, "components": [id, id, "0190f1f2-0000-7000-8000-000000000000"]});
    assert_eq!(refused(unknown), "components[2]");
    for (member, value) in [
        ("title", json!("t".repeat(limits::COMPONENT_TEXT + 1))),
        ("data", json!("d".repeat(limits::COMPONENT_DATA))),
    ] {
        let mut document = json!({"name": "x", "componenttype": "kernel"});
        document[member] = value;
        let answer = server.post("/api/v1/components", &document.to_string());
        assert_eq!((answer.status, &answer.json()["payload"]["field"]), (400, &json!(member)));
    }
}

#[test]
fn parameters_are_bounded_too() {
    let server = Server::new();
    server.project("pony");
    let build = server.build("pony", BUILD);
    let long = "x".repeat(limits::PATTERN);
    for path in [
        format!("/pony/builds?text={long}"),
        format!("{build}/tests?text={long}"),
        format!("/pony/builds?tag={}", "x".repeat(limits::PARAMETER + 1)),
        format!("/?{}", "a&".repeat(limits::PARAMETERS + 1)),
        format!("/api/v1/builds?query=like(key,{long}x)"),
    ] {
        let answer = server.get(&path);
        assert_eq!(answer.status, 400, "{} {}", &path[..40], answer.text());
    }
}

#[test]
fn a_build_with_long_outputs_is_written_as_it_is_read() {
    let server = Server::new();
    server.project("pony");
    let output = "line\u{0} of \"output\"\n".repeat(100_000);
    let steps: Vec<Value> = (0..3)
        .map(|n| json!({"name": format!("s{n}"), "success": true, "output": output, "own": {"results": []}}))
        .collect();
    let document =
        json!({"success": true, "client": {"results": "[]", "x": [1, 2]}, "results": steps});
    let build = server.build("pony", &document.to_string());
    let read = server.get(&build);
    assert_eq!(read.header("transfer-encoding"), "chunked");
    let json = read.json();
    assert_eq!(json["client"], document["client"]);
    for (nth, step) in steps.iter().enumerate() {
        for member in ["name", "output", "own"] {
            assert_eq!(json["results"][nth][member], step[member]);
        }
    }
    assert!(json["links"].as_array().is_some_and(|links| !links.is_empty()));
    let some = server.get(&format!("{build}?fields=results,success")).json();
    assert_eq!(some.as_object().unwrap().len(), 2);
    assert_eq!(some["results"], json["results"]);
    let alone = server.get(&format!("{build}?fields=results")).json();
    assert_eq!(alone, json!({"results": json["results"]}));
    let known = server.request("GET", &build).header("If-None-Match", read.header("etag"));
    assert_eq!(server.send(known).status, 304);
}

/// Every array and text that clients may send has a limit in the API description.
#[test]
fn the_description_bounds_whatever_clients_send() {
    fn walk<'a>(
        all: &'a Value,
        schema: &'a Value,
        at: &str,
        seen: &mut Vec<&'a str>,
        bad: &mut Vec<String>,
    ) {
        if let Some(name) = schema["$ref"].as_str() {
            if !seen.contains(&name) {
                seen.push(name);
                let name = name.rsplit('/').next().unwrap();
                walk(all, &all["components"]["schemas"][name], name, seen, bad);
            }
            return;
        }
        let has_type = |name: &str| {
            schema["type"] == name
                || schema["type"].as_array().is_some_and(|types| types.contains(&json!(name)))
        };
        let is_fixed =
            ["enum", "const", "format", "pattern"].iter().any(|key| schema.get(key).is_some());
        if has_type("string") && schema.get("maxLength").is_none() && !is_fixed {
            bad.push(format!("{at}: a text"));
        }
        if has_type("array") && schema.get("maxItems").is_none() {
            bad.push(format!("{at}: an array"));
        }
        if schema["additionalProperties"] == true && schema.get("maxProperties").is_none() {
            bad.push(format!("{at}: members"));
        }
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            walk(all, member, &format!("{at}.{name}"), seen, bad);
        }
        for part in ["anyOf", "allOf", "oneOf"] {
            for one in schema[part].as_array().into_iter().flatten() {
                walk(all, one, at, seen, bad);
            }
        }
        if schema.get("items").is_some() {
            walk(all, &schema["items"], &format!("{at}[]"), seen, bad);
        }
    }
    let all = openapi("", "");
    let (mut seen, mut bad) = (Vec::new(), Vec::new());
    for (name, parameter) in all["components"]["parameters"].as_object().unwrap() {
        walk(&all, &parameter["schema"], name, &mut seen, &mut bad);
    }
    for (path, item) in all["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            if !body.is_null() {
                walk(&all, body, &format!("{method} {path}"), &mut seen, &mut bad);
            }
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(seen.len() > 5, "{seen:?}");
}

/// The docs list every limit with its value.
#[test]
fn the_docs_have_the_table_of_bounds() {
    let docs = include_str!("../../../../../docs/api.md");
    for (what, most) in limits::TABLE {
        assert!(docs.contains(&format!("| {what} | {most} |")), "| {what} | {most} |");
    }
}
