//! DCI's agents and commands.

use super::*;

const JUNIT: &str = "<testsuite name='s'><testcase classname='c' name='a' time='0.5'/><testcase classname='c' name='b'><failure>no</failure></testcase></testsuite>";

/// A lab that speaks to a server as its commands do.
struct Lab<'s> {
    server: &'s Server,
    user: &'static str,
}

impl Lab<'_> {
    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let key = format!("{}-pw", self.user);
        let mut request = self.server.request(method, &format!("/api/v1/{path}"));
        request = request.basic(self.user, &key).header("User-Agent", "python-dciclient_4.2.0");
        if !headers.iter().any(|(name, _)| *name == "Content-Type") {
            request = request.header("Content-Type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        self.server.send(request.body(body))
    }

    fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(method, path, &[], body.to_string().as_bytes())
    }

    /// What is created under this name.
    fn made(&self, path: &str, name: &str, body: &Value) -> Value {
        let answer = self.json("POST", path, body);
        assert_eq!(answer.status, 201, "{path}: {}", answer.text());
        answer.json()[name].clone()
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.send("GET", path, &[], b"");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// A topic, a lab, and the fields of a job of theirs.
    fn ready(&self) -> Value {
        let topic = self.made("topics", "topic", &json!({"name": "OCP-4.12", "product_id": "p1"}));
        let lab = self.made("remotecis", "remoteci", &json!({"name": "lab-7", "team_id": "t1"}));
        json!({"topic_id": topic["id"], "remoteci_id": lab["id"], "name": "nightly"})
    }

    fn state(&self, job: &Value, status: &str) -> Value {
        let state =
            json!({"job_id": job["id"], "status": status, "comment": format!("now {status}")});
        self.made("jobstates", "jobstate", &state)
    }

    fn file(
        &self,
        job: &Value,
        state: Option<&Value>,
        name: &str,
        mime: &str,
        body: &[u8],
    ) -> Answer {
        let id = job["id"].as_str().unwrap();
        let mut headers = vec![
            ("DCI-NAME", name),
            ("DCI-MIME", mime),
            ("Content-Type", mime),
            ("DCI-JOB-ID", id),
        ];
        headers.extend(state.map(|state| ("DCI-JOBSTATE-ID", state["id"].as_str().unwrap())));
        self.send("POST", "files", &headers, body)
    }
}

#[test]
fn a_job_is_a_build_with_a_step_for_each_of_its_states_and_the_tests_of_its_files() {
    on_both(|server| {
        let lab = Lab { server, user: "alice" };
        let mut wanted = lab.ready();
        let component = json!({"display_name": "OpenShift 4.12.3", "type": "ocp", "topic_id": wanted["topic_id"], "version": "4.12.3"});
        let component = lab.made("components", "component", &component);
        wanted["components"] = json!([component["id"]]);
        wanted["tags"] = json!(["debug", "a;b"]);
        wanted["data"] = json!({"x": 1});
        let job = lab.made("jobs", "job", &wanted);
        assert_eq!((&job["status"], &job["remoteci"]["name"]), (&json!("new"), &json!("lab-7")));
        lab.state(&job, "pre-run");
        let running = lab.state(&job, "running");
        let put = lab.file(&job, Some(&running), "install", "text/plain", b"installed\n");
        assert_eq!(put.status, 201, "{}", put.text());
        assert_eq!(
            lab.file(&job, None, "r.xml", "application/junit", JUNIT.as_bytes()).status,
            201
        );
        assert_eq!(lab.file(&job, None, "core", "application/x-core", b"\x00\xff").status, 201);
        let [build] = builds(server, "OCP-4-12").try_into().unwrap();
        assert_eq!((&build["state"], &build["tests"]["failed"]), (&json!("running"), &json!(1)));
        lab.state(&job, "failure");
        let [build] = builds(server, "OCP-4-12").try_into().unwrap();
        assert_eq!((&build["state"], &build["success"]), (&json!("finished"), &json!(false)));
        assert_eq!(names(&build), ["pre-run", "running", "failure", "r.xml"]);
        assert_eq!(build["results"][1]["output"], "now running\n--- install\ninstalled\n");
        assert_eq!(
            (&build["components"], &build["tags"]),
            (&wanted["components"], &json!(["a_b", "debug"]))
        );
        let client = &build["client"];
        assert_eq!((&client["host"], &client["job"]), (&json!("lab-7"), &json!("nightly")));
        assert_eq!((&client["status"], &client["data"]), (&json!("failure"), &json!("{\"x\":1}")));
        // Each file has an upload in the receipt, also the one that is no text.
        let receipt =
            server.get(&format!("/OCP-4-12/builds/{}/receipt", build["id"].as_str().unwrap()));
        let text = receipt.text();
        assert!(text.contains("'core', 2 bytes: only texts are kept"), "{text}");
        assert!(text.contains("\"file\":\"r.xml\""), "{text}");

        // What its commands read.
        let id = job["id"].as_str().unwrap();
        let states = lab.get(&format!("jobs/{id}/jobstates?sort=created_at"));
        assert_eq!(states["jobstates"][1]["files"][0]["name"], "install");
        let of_state =
            format!("jobs/{id}/files?where=jobstate_id:{}", running["id"].as_str().unwrap());
        let files = lab.get(&of_state);
        assert_eq!(
            (&files["_meta"]["count"], &files["files"][0]["name"]),
            (&json!(1), &json!("install"))
        );
        let content = lab.send(
            "GET",
            &format!("files/{}/content", files["files"][0]["id"].as_str().unwrap()),
            &[],
            b"",
        );
        assert_eq!((content.status, content.text()), (200, "installed\n".to_owned()));
        let results = lab.get(&format!("jobs/{id}/results"));
        assert_eq!(
            (&results["results"][0]["total"], &results["results"][0]["failures"]),
            (&json!(2), &json!(1))
        );
        assert_eq!(
            lab.get(
                "jobs?where=name:nightly,status:failure&sort=-created_at&embed=topic,remoteci,team"
            )["jobs"][0]["id"],
            *id
        );
        assert_eq!(lab.get("jobs?where=name:other")["_meta"]["count"], 0);
        assert_eq!(lab.get("jobs?where=tags:debug,topic_id:OCP-4-12")["_meta"]["count"], 1);
        let of_topic = "topics/OCP-4-12/components?where=type:ocp,display_name:OpenShift 4.12.3,version:4.12.3";
        assert_eq!(lab.get(&of_topic.replace(' ', "%20"))["components"][0]["id"], component["id"]);
        assert_eq!(lab.get("topics/OCP-4-12/components?where=version:4.13")["_meta"]["count"], 0);
    });
}

#[test]
fn what_is_said_of_a_job_last_counts_and_only_who_has_seen_it_may_say_it() {
    on_both(|server| {
        let lab = Lab { server, user: "alice" };
        let mut wanted = lab.ready();
        wanted["comment"] = json!("first");
        let job = lab.made("jobs", "job", &wanted);
        let id = job["id"].as_str().unwrap();
        let path = format!("jobs/{id}");
        let kv = |method, body: Value| lab.json(method, &format!("{path}/kv"), &body);
        assert_eq!(kv("POST", json!({"key": "cpus", "value": 8.0})).status, 201);
        assert_eq!(kv("POST", json!({"key": "cpus", "value": 9})).status, 201);
        assert_eq!(kv("POST", json!({"key": "gone", "value": 1})).status, 201);
        assert_eq!(kv("DELETE", json!({"key": "gone"})).status, 204);
        assert_eq!(kv("DELETE", json!({"key": "gone"})).status, 404);
        assert_eq!(kv("POST", json!({"key": "cpus"})).status, 400);
        let put = |etag: &str, body: Value| {
            lab.send("PUT", &path, &[("If-match", etag)], body.to_string().as_bytes())
        };
        let old = job["etag"].as_str().unwrap();
        let stale = put(old, json!({"comment": "second"}));
        assert_eq!(stale.status, 412, "{}", stale.text());
        let now = lab.get(&path)["job"].clone();
        assert_eq!(now["keys_values"], json!([{"job_id": id, "key": "cpus", "value": 9}]));
        let changed =
            put(now["etag"].as_str().unwrap(), json!({"comment": "second", "status": "success"}));
        assert_eq!((changed.status, &changed.json()["job"]["comment"]), (200, &json!("second")));
        let [build] = builds(server, "OCP-4-12").try_into().unwrap();
        assert_eq!((&build["state"], &build["success"]), (&json!("finished"), &json!(true)));
        let client = &build["client"];
        assert_eq!((&client["comment"], &client["kv.cpus"]), (&json!("second"), &json!("9")));
        assert_eq!(client["kv.gone"], Value::Null);
        let fixed = put("*", json!({"remoteci_id": "other"}));
        assert_eq!(
            (fixed.status, fixed.json()["payload"]["field"].clone()),
            (400, json!("remoteci_id"))
        );
        // Another lab may not continue it, nor delete it.
        let other = Lab { server, user: "bob" };
        let state = json!({"job_id": id, "status": "killed"});
        assert_eq!(other.json("POST", "jobstates", &state).status, 403);
        assert_eq!(other.send("DELETE", &path, &[("If-match", "*")], b"").status, 403);
        // It goes on: the build runs again until it ends.
        lab.state(&job, "running");
        assert_eq!(builds(server, "OCP-4-12")[0]["state"], "running");
        lab.state(&job, "killed");
        assert_eq!(builds(server, "OCP-4-12")[0]["success"], false);
        assert_eq!(lab.send("DELETE", &path, &[("If-match", "*")], b"").status, 204);
        assert_eq!(lab.send("GET", &path, &[], b"").status, 404);
        assert_eq!(builds(server, "OCP-4-12").len(), 0);
    });
}

#[test]
fn a_job_that_names_what_is_not_there_is_refused() {
    let server = Server::new();
    let lab = Lab { server: &server, user: "alice" };
    let wanted = lab.ready();
    for (member, value) in [
        ("topic_id", json!("nowhere")),
        ("topic_id", Value::Null),
        ("remoteci_id", json!("nobody")),
        ("components", json!(["x"])),
        ("components", json!([uuid::Uuid::new_v4()])),
        ("tags", json!("x")),
        ("status", json!("odd")),
    ] {
        let mut wrong = wanted.clone();
        wrong[member] = value;
        let refused = lab.json("POST", "jobs", &wrong);
        assert_eq!(refused.status, 400, "{wrong}: {}", refused.text());
        assert_eq!(refused.json()["payload"]["field"], member, "{}", refused.text());
    }
    assert_eq!(lab.json("POST", "jobs", &json!([])).status, 400);
    assert_eq!(builds(&server, "OCP-4-12").len(), 0);
    let job = lab.made("jobs", "job", &wanted);
    let odd = json!({"job_id": job["id"], "status": "odd"});
    assert_eq!(lab.json("POST", "jobstates", &odd).json()["payload"]["field"], "status");
    let lost = json!({"job_id": uuid::Uuid::new_v4(), "status": "running"});
    assert_eq!(lab.json("POST", "jobstates", &lost).status, 404);
    let other = json!({"id": format!("{}:7", job["id"].as_str().unwrap())});
    assert_eq!(lab.file(&job, Some(&other), "a", "text/plain", b"x").status, 400);
    let id = job["id"].as_str().unwrap();
    let sum = [("DCI-NAME", "a"), ("DCI-JOB-ID", id), ("DCI-MD5", "00")];
    assert_eq!(lab.send("POST", "files", &sum, b"x").json()["payload"]["field"], "DCI-MD5");
    assert_eq!(lab.send("POST", "files", &[("DCI-NAME", "a")], b"x").status, 400);
    // Names are there once.
    assert_eq!(lab.json("POST", "topics", &json!({"name": "OCP-4.12"})).status, 409);
    assert_eq!(lab.json("POST", "remotecis", &json!({"name": "lab-7"})).status, 409);
    for path in [
        "jobs/x",
        "files/x",
        "jobstates/x",
        "files/x/content",
        "remotecis/x",
        "topics/x",
        "products",
        "teams",
    ] {
        assert_eq!(lab.send("GET", path, &[], b"").status, 404, "{path}");
    }
    assert_eq!(
        lab.send("GET", "jobs?where=color:red", &[], b"").json()["payload"]["field"],
        "where"
    );
    // A broken report is kept, and fails the build.
    assert_eq!(lab.file(&job, None, "r.xml", "application/junit", b"<testsuite").status, 201);
    lab.state(&job, "success");
    let [build] = builds(&server, "OCP-4-12").try_into().unwrap();
    assert_eq!((&build["success"], &build["client"]["status"]), (&json!(false), &json!("success")));
}

#[test]
fn of_two_who_have_seen_the_same_job_one_changes_it() {
    on_both(|server| {
        let lab = Lab { server, user: "alice" };
        let job = lab.made("jobs", "job", &lab.ready());
        let (path, etag) =
            (format!("jobs/{}", job["id"].as_str().unwrap()), job["etag"].as_str().unwrap());
        let put = |n: usize| {
            let body = json!({"comment": format!("{n}")}).to_string();
            lab.send("PUT", &path, &[("If-match", etag)], body.as_bytes()).status
        };
        let put = &put;
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let puts: Vec<_> = (0..6).map(|n| scope.spawn(move || put(n))).collect();
            puts.into_iter().map(|put| put.join().unwrap()).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 5, "{statuses:?}");
        // What is taken back is gone from the build, too.
        let etag = lab.get(&path)["job"]["etag"].as_str().unwrap().to_owned();
        let back = json!({"comment": null}).to_string();
        assert_eq!(lab.send("PUT", &path, &[("If-match", &etag)], back.as_bytes()).status, 200);
        assert_eq!(builds(server, "OCP-4-12")[0]["client"]["comment"], Value::Null);
    });
}

#[test]
fn what_is_said_of_a_job_is_bounded() {
    let server = Server::new();
    let lab = Lab { server: &server, user: "alice" };
    let wanted = lab.ready();
    let job = lab.made("jobs", "job", &wanted);
    let many =
        format!("<testsuite name='s'>{}</testsuite>", "<testcase name='a'/>".repeat(100_001));
    assert_eq!(lab.file(&job, None, "r.xml", "application/junit", many.as_bytes()).status, 413);
    let long = "x".repeat(70_000);
    let state = json!({"job_id": job["id"], "status": "running", "comment": long});
    assert_eq!(lab.json("POST", "jobstates", &state).json()["payload"]["field"], "comment");
    let mut wrong = wanted.clone();
    wrong["comment"] = json!(long);
    assert_eq!(lab.json("POST", "jobs", &wrong).status, 400);
    let kv = format!("jobs/{}/kv", job["id"].as_str().unwrap());
    assert_eq!(
        lab.json("POST", &kv, &json!({"key": long, "value": 1})).json()["payload"]["field"],
        "key"
    );
    let component = json!({"display_name": "c", "type": "t", "topic_id": wanted["topic_id"], "data": {"x": "y".repeat(1 << 20)}});
    assert_eq!(lab.json("POST", "components", &component).json()["payload"]["field"], "data");
    // A name that is no ASCII is a name.
    let put = lab.file(&job, None, "pr\u{fc}fung", "text/plain", b"x");
    assert_eq!((put.status, put.json()["file"]["name"].clone()), (201, json!("pr\u{fc}fung")));
}

#[test]
fn what_is_said_of_a_topic_is_said_by_who_may_change_its_project() {
    let server = Server::new();
    let (alice, mallory) =
        (Lab { server: &server, user: "alice" }, Lab { server: &server, user: "mallory" });
    assert_eq!(server.as_user("alice").send("PUT", "/own", r#"{"name":"own"}"#).status, 201);
    let topic = json!({"name": "own", "data": {"registry": "x"}});
    assert_eq!(mallory.json("POST", "topics", &topic).status, 403);
    assert_eq!(alice.json("POST", "topics", &topic).status, 201);
    assert_eq!(server.as_user("alice").send("DELETE", "/own", "").status, 204);
    // A project that gets the name later has nothing of it.
    assert_eq!(mallory.json("POST", "topics", &json!({"name": "own"})).status, 201);
    assert_eq!(mallory.get("topics/own")["topic"]["data"], json!({}));
}

#[test]
fn odd_characters_are_kept_or_refused_and_break_nothing() {
    on_both(|server| {
        let lab = Lab { server, user: "alice" };
        let mut wanted = lab.ready();
        // A backslash before what looks like an escape, and a character that no text of a database has.
        let data = json!({"a": "\\u0000", "b": "\u{0}"});
        let other = lab.made("remotecis", "remoteci", &json!({"name": "lab-8", "data": data}));
        assert_eq!(lab.get("remotecis?where=name:lab-8")["remotecis"][0]["data"], data);
        assert_eq!(lab.get("remotecis?where=name:a%00")["_meta"]["count"], 0);
        assert_eq!(lab.send("GET", "jobs?where=name:a%00", &[], b"").status, 400);
        assert_eq!(lab.get("topics/OCP-4-12/components?where=type:a%00")["_meta"]["count"], 0);
        wanted["remoteci_id"] = other["id"].clone();
        wanted["comment"] = json!("a\u{0}b");
        wanted["tags"] = json!(["t\u{0}"]);
        let job = lab.made("jobs", "job", &wanted);
        let put = lab.file(&job, None, "a\u{85}b", "text/plain", b"x");
        assert_eq!(put.status, 201, "{}", put.text());
        lab.state(&job, "success");
        let [build] = builds(server, "OCP-4-12").try_into().unwrap();
        assert_eq!((&build["state"], &build["success"]), (&json!("finished"), &json!(true)));
        let group = json!({"testcase": "a", "outcome": "PASSED", "groups": ["g\u{0}"]});
        assert_eq!(lab.server.post("/pony/resultsdb/v2.0/results", &group.to_string()).status, 201);
    });
}
