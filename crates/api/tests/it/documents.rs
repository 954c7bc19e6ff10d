//! Whole documents, exactly as sent.

use crate::*;

fn filled() -> Server {
    let server = Server::new();
    assert_eq!(
        server.as_user("Alice").send("PUT", "/pony", r#"{"name":"Pony Build"}"#).status,
        201
    );
    assert_eq!(server.as_user("Alice").send("POST", "/pony/builds", BUILD).status, 201);
    server
}

#[test]
fn a_project() {
    insta::assert_snapshot!(filled().get("/pony").shown());
}

#[test]
fn the_list_of_projects() {
    insta::assert_snapshot!(filled().get("/").shown());
}

#[test]
fn a_build() {
    let server = filled();
    let latest = server.get("/pony/builds/latest").header("location").to_owned();
    insta::assert_snapshot!(server.get(&latest).shown());
}

#[test]
fn a_list_of_builds() {
    insta::assert_snapshot!(
        filled().get("/pony/builds?fields=id,state,success,started,tags").shown()
    );
}

#[test]
fn the_builds_with_some_tags() {
    insta::assert_snapshot!(filled().get("/pony/tags/linux;python-3.11?fields=id").shown());
}

#[test]
fn the_tags_of_a_project() {
    insta::assert_snapshot!(filled().get("/pony/tags").shown());
}

#[test]
fn a_user_and_the_list_of_users() {
    let server = filled();
    insta::assert_snapshot!(server.get("/users/alice").shown());
    insta::assert_snapshot!(server.get("/users").shown());
}

#[test]
fn the_builds_of_a_user() {
    insta::assert_snapshot!(filled().get("/users/alice/builds?fields=id,links").shown());
}

#[test]
fn an_error() {
    let server = filled();
    insta::assert_snapshot!(server.get("/nobody/builds").shown());
    insta::assert_snapshot!(
        server
            .post(
                "/pony/builds",
                r#"{"success":true,"results":[{"name":"a","success":true},{"success":1}]}"#
            )
            .shown()
    );
    insta::assert_snapshot!(server.get("/pony/builds?sort=x").shown());
}

#[test]
fn the_description_has_the_resources_and_methods_that_there_are() {
    let server = filled();
    let description = server.get("/openapi.json").json();
    let paths = description["paths"].as_object().unwrap();
    assert_eq!(paths.len(), ROWS.len());
    for row in ROWS {
        let item = paths[row.pattern].as_object().unwrap();
        let described: Vec<&String> =
            item.keys().filter(|key| !matches!(key.as_str(), "parameters" | "options")).collect();
        let mut methods: Vec<String> =
            row.methods.iter().map(|method| method.as_str().to_lowercase()).collect();
        methods.sort();
        assert_eq!(described, methods.iter().collect::<Vec<_>>(), "{}", row.pattern);
    }
}

/// Compares a document with a schema, member by member in both directions; differences are reported
#[test]
fn every_reference_in_the_description_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let description = openapi("", "");
    let mut found = Vec::new();
    references(&description, &mut found);
    assert!(found.len() > 500, "{}", found.len());
    for reference in found {
        assert!(description.pointer(&reference[1..]).is_some(), "{reference}");
    }
    // The parameters of a path are those that its pattern names.
    for (path, item) in description["paths"].as_object().unwrap() {
        for parameter in item["parameters"].as_array().unwrap() {
            let of = description.pointer(&parameter["$ref"].as_str().unwrap()[1..]).unwrap();
            assert_eq!(of["in"], "path", "{path}: {of}");
        }
    }
}

/// with their paths.
fn held(document: &Value, schema: &Value, all: &Value, path: &str, odd: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return held(document, &all[name], all, &format!("{path} ({name})"), odd);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let is_null = |choice: &Value| choice["type"] == "null";
        if let (false, Some(choice)) = (document.is_null(), choices.iter().find(|c| !is_null(c))) {
            held(document, choice, all, path, odd);
        }
        return;
    }
    // Treat the parts of a schema as one.
    let parts = schema["allOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
    let parts: Vec<Value> = parts
        .iter()
        .map(|part| match part["$ref"].as_str() {
            Some(name) => all[name.rsplit('/').next().unwrap()].clone(),
            None => part.clone(),
        })
        .collect();
    if let Some(items) = document.as_array() {
        for (at, item) in items.iter().enumerate() {
            held(item, &schema["items"], all, &format!("{path}[{at}]"), odd);
        }
    }
    let known: std::collections::BTreeMap<&String, &Value> = parts
        .iter()
        .filter_map(|part| part["properties"].as_object())
        .flatten()
        .filter(|(_, member)| member["writeOnly"] != true)
        .collect();
    let Some(members) = document.as_object() else { return };
    if known.is_empty() {
        return;
    }
    let takes_others = parts.iter().any(|part| part["additionalProperties"] == true);
    for (name, value) in members {
        match known.get(name) {
            Some(member) => held(value, member, all, &format!("{path}.{name}"), odd),
            None if takes_others => {}
            None => odd.push(format!("{path}.{name} is not in the schema")),
        }
    }
    // Sent only if there is a value, or only for single objects.
    const SOMETIMES: [&str; 16] = [
        "count_is_exact",
        "file",
        "files",
        "steps",
        "suites",
        "output",
        "errout",
        "failure",
        "line",
        "properties",
        "retries",
        "segments",
        // Of a step with a log.
        "state",
        "stats",
        "stderr",
        "tracks",
    ];
    let is_whole = |name: &str| !SOMETIMES.contains(&name) && name != "stdout";
    for name in known.keys().filter(|name| is_whole(name) && !members.contains_key(**name)) {
        odd.push(format!("{path}.{name} is not in the document"));
    }
}

#[test]
fn documents_and_schemas_have_the_same_members() {
    let server = Server::new();
    let ann = server.as_user("ann");
    server.project("pony");
    let made = ann.send("POST", "/api/v1/componenttypes", r#"{"name":"kernel"}"#);
    assert_eq!(made.status, 201);
    let component = r#"{"name":"6.12","componenttype":"kernel","title":"t","data":{"a":1}}"#;
    let made = ann.send("POST", "/api/v1/components", component);
    let component = made.json()["component"]["id"].as_str().unwrap().to_owned();
    let build = r#"{"success":false,"tags":["linux"],"client":{"host":"h","user":"u","arch":"a"},
        "components":[{"type":"kernel","name":"6.12"}],
        "results":[{"name":"s","success":false,"started":"2026-01-01T00:00:00Z","output":"o","errout":"e",
        "tests":[{"suite":"a","name":"b","status":"failed","duration":0.5,"file":"f","line":1,"retries":1,
        "failure":{"type":"t","message":"m","text":"x"},"properties":[{"name":"p","value":"v"}]}]}]}"#;
    assert_eq!(ann.send("PUT", "/pony/builds/1", build).status, 201);
    let all = server.get("/openapi.json").json()["components"]["schemas"].clone();
    let mut odd = Vec::new();
    let id = |plural: &str| {
        let answer = server.get(&format!("/api/v1/{plural}"));
        answer.json()[plural][0]["id"].as_str().unwrap_or_else(|| panic!("{plural}")).to_owned()
    };
    let mut looked_at = vec![
        ("Project", "/pony".to_owned()),
        ("ProjectList", "/".to_owned()),
        ("Build", "/pony/builds/1".to_owned()),
        ("BuildList", "/pony/tags/linux".to_owned()),
        ("TestList", "/pony/builds/1/tests".to_owned()),
        ("TestHistory", "/pony/tests/a%3A%3Ab".to_owned()),
        ("Receipt", "/pony/builds/1/receipt".to_owned()),
        ("TagList", "/pony/tags".to_owned()),
        ("User", "/users/ann".to_owned()),
        ("UserList", "/users".to_owned()),
        ("Session", "/api/v1/session".to_owned()),
        ("Status", "/healthz".to_owned()),
        ("Error", "/nothing".to_owned()),
        ("BuildObjects", format!("/api/v1/components/{component}/builds")),
    ];
    for (plural, many, one) in [
        ("projects", "ProjectObjects", "OneProjectObject"),
        ("builds", "BuildObjects", "OneBuildObject"),
        ("steps", "StepObjects", "OneStepObject"),
        ("tests", "TestObjects", "OneTestObject"),
        ("tags", "TagObjects", "OneTagObject"),
        ("users", "UserObjects", "OneUserObject"),
        ("components", "Components", "OneComponent"),
        ("componenttypes", "ComponentTypes", "OneComponentType"),
    ] {
        looked_at.push((many, format!("/api/v1/{plural}")));
        looked_at.push((one, format!("/api/v1/{plural}/{}", id(plural).replace('/', "%2F"))));
    }
    // Of a track, a test's history says other things.
    let track = server.get("/pony/builds/1").link("track").unwrap();
    let key = track.rsplit('/').next().unwrap().to_owned();
    looked_at.push(("TestHistory", format!("/pony/tests/a%3A%3Ab?track={key}")));
    looked_at.push(("TrackList", "/pony/tracks".to_owned()));
    looked_at.push(("TrackTestList", format!("{track}/tests")));
    looked_at.push(("TrackGrid", format!("{track}/grid")));
    looked_at.push(("TrackHealth", track));
    let failed = server.get("/pony/builds/1/tests").json()["tests"][0]["links"].clone();
    let mut links = failed.as_array().unwrap().iter();
    let signature = links.find(|link| link["rel"] == "signature").unwrap()["href"].as_str();
    let signature = signature.unwrap().rsplit('/').next().unwrap().to_owned();
    looked_at.push(("Signature", format!("/pony/signatures/{signature}")));
    // The receipt of a file has other members than that of a document.
    let junit = "<testsuite name='s'><testcase name='a'/><testcase name='a'/></testsuite>";
    let file = server.request("PUT", "/pony/builds/2").header("Content-Type", "application/xml");
    assert_eq!(server.send(file.body(junit.as_bytes())).status, 201);
    looked_at.push(("Receipt", "/pony/builds/2/receipt".to_owned()));
    let progress = server.build("pony", r#"{"incremental":true}"#);
    let step = server.post(&progress, r#"{"name":"make","state":"running"}"#);
    let step = step.header("location").to_owned();
    let piece = server.request("POST", &format!("{step}/log")).header("Upload-Offset", "0");
    assert_eq!(server.send(piece.json(r#"[[0,"out","a\nb\nc\n"]]"#)).status, 204);
    looked_at.push(("LogMatches", step.replace("steps/0", "search?text=b")));
    looked_at.push(("StepDocument", step));
    for (schema, path) in looked_at {
        let answer = server.get(&path);
        held(&answer.json(), &all[schema], &all, &format!("{schema} of {path}"), &mut odd);
    }
    assert_eq!(odd, Vec::<String>::new());
}
