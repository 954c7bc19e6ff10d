//! The dialogues of the "Build server REST API", word for word.

use crate::with_each_database;

with_each_database! {
    fn registering_a_project(database: &TestDatabase) {
        let server = Server::start(database, &[]);
        // -> PUT /{project}
        let answer = server.send("", "PUT", "/pony", r#"{"name": "Pony Build"}"#);
        // <- 201 Created
        assert_eq!((answer.status, answer.header("location")), (201, "/pony"));
        // "If a project already exists, a 403 Forbidden will be returned."
        assert_eq!(server.send("", "PUT", "/pony", r#"{"name": "Pony Build"}"#).status, 403);

        // "Users may register with authentication via HTTP Basic":
        let register = server.request("PUT", "/aladdin").header("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(register.json(r#"{"name": "Lamp"}"#).send().status, 201);
        assert_eq!(server.json("/aladdin")["owner"], "Aladdin");
        // "No explicit user registration step is needed; users will be created on the fly."
        assert_eq!(server.get("/users/Aladdin").status, 200);
        // "that authorization may be repeated in the future to update/delete the project"
        let as_aladdin = |method| server.request(method, "/aladdin").basic("Aladdin", "open sesame");
        assert_eq!(as_aladdin("PUT").json(r#"{"name": "New lamp"}"#).send().status, 200);
        assert_eq!(as_aladdin("DELETE").send().status, 204);
        assert_eq!(server.get("/aladdin").status, 404);
    }

    fn reporting_a_build(database: &TestDatabase) {
        let server = Server::start(database, &[]);
        server.send("", "PUT", "/pony", r#"{"name": "Pony Build"}"#);
        let sent = r#"{
            "success": true,
            "started": "Tue, 20 Oct 2009 10:20:00 -0500",
            "finished": "Tue, 20 Oct 2009 10:22:00 -0500",
            "tags": ["list", "of", "tags"],
            "client": {"host": "example.com", "user": "http://example.com/", "arch": "macosx-10.5-i386"},
            "results": [{
                "success": true, "started": "Tue, 20 Oct 2009 10:20:00 -0500", "finished": "Tue, 20 Oct 2009 10:22:00 -0500",
                "name": "checkout", "output": "...", "errout": "..."
            }]
        }"#;
        // -> POST /{project}/builds
        let answer = server.send("", "POST", "/pony/builds", sent);
        // <- 201 Created, Location: /{project}/builds/{build-id}
        assert_eq!(answer.status, 201);
        let build = answer.header("location");
        assert!(build.starts_with("/pony/builds/"));
        let (got, sent) = (server.json(build), serde_json::from_str::<Value>(sent).unwrap());
        for (name, value) in sent.as_object().unwrap() {
            let mut value = value.clone();
            if name == "tags" {
                value.as_array_mut().unwrap().sort_by_key(|tag| tag.to_string());
            }
            assert_eq!(got[name], value, "{name}");
        }
        assert_eq!(server.get("/pony/builds/latest").header("location"), build);
    }

    fn reporting_a_build_in_steps(database: &TestDatabase) {
        let server = Server::start(database, &[]);
        server.send("", "PUT", "/pony", r#"{"name": "Pony Build"}"#);
        let begun = server.send("", "POST", "/pony/builds", r#"{"incremental": true, "started": "Tue, 20 Oct 2009 10:20:00 -0500", "client": {}, "tags": []}"#);
        assert_eq!(begun.status, 201);
        let progress = begun.header("location").to_owned();
        let build = progress.strip_suffix("/progress").unwrap();
        for name in ["checkout", "build", "test"] {
            let step = format!(r#"{{"name": "{name}", "success": true, "output": "...", "errout": "..."}}"#);
            let answer = server.send("", "POST", &progress, &step);
            assert_eq!((answer.status, answer.header("location")), (204, build));
        }
        let answer = server.send("", "DELETE", &progress, "");
        assert_eq!((answer.status, answer.header("location")), (204, build));
        // "When the build is done, the resource will return 410 Gone."
        assert_eq!(server.get(&progress).status, 410);
        let got = server.json(build);
        assert_eq!((&got["success"], got["results"].as_array().unwrap().len()), (&true.into(), 3));
    }

    fn twenty_steps_at_once_from_twenty_connections(database: &TestDatabase) {
        let server = Server::start(database, &[]);
        server.send("", "PUT", "/pony", r#"{"name": "Pony Build"}"#);
        let progress = server.send("", "POST", "/pony/builds", r#"{"incremental": true}"#).header("location").to_owned();
        std::thread::scope(|scope| {
            for n in 0..20 {
                let (server, progress) = (&server, &progress);
                scope.spawn(move || {
                    let step = format!(r#"{{"name": "step {n}", "success": {}}}"#, n != 7);
                    assert_eq!(server.send("", "POST", progress, &step).status, 204);
                });
            }
        });
        assert_eq!(server.send("", "DELETE", &progress, "").status, 204);
        let got = server.json(progress.strip_suffix("/progress").unwrap());
        let names: std::collections::BTreeSet<String> = got["results"].as_array().unwrap().iter().map(|step| step["name"].to_string()).collect();
        assert_eq!((names.len(), got["results"].as_array().unwrap().len(), &got["success"]), (20, 20, &false.into()));
    }

    fn two_servers_on_one_database_behave_as_one(database: &TestDatabase) {
        let servers = [Server::start(database, &[]), Server::start(database, &[])];
        servers[0].send("alice", "PUT", "/pony", r#"{"name": "Pony Build"}"#);
        std::thread::scope(|scope| {
            for n in 0..8 {
                let server = &servers[n % 2];
                scope.spawn(move || {
                    for _ in 0..5 {
                        let answer = server.send("bob", "POST", "/pony/builds", r#"{"success": true, "started": "2026-01-01T00:00:00Z", "tags": ["t"]}"#);
                        assert_eq!(answer.status, 201, "{}", answer.text());
                    }
                });
            }
        });
        for server in &servers {
            let list = server.json("/pony/builds?per_page=100");
            assert_eq!((&list["count"], list["builds"].as_array().unwrap().len()), (&40.into(), 40));
            assert_eq!(server.json("/pony/tags/t")["count"], 40);
            assert_eq!(server.json("/users/bob/builds")["count"], 40);
        }
        let etag = servers[0].get("/pony/builds").header("etag").to_owned();
        // The server's own address is part of a link, so the two servers' ETags differ; each is stable.
        assert_eq!(servers[0].request("GET", "/pony/builds").header("If-None-Match", &etag).send().status, 304);
        assert_eq!(servers[1].send("alice", "DELETE", "/pony", "").status, 204);
        assert_eq!(servers[0].get("/pony/builds").status, 404);
    }
}
