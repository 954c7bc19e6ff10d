//! Acknowledged data is complete after a crash.

use crate::with_each_database;

with_each_database! {
    fn every_acknowledged_build_is_whole_after_a_kill(database: &TestDatabase) {
        let server = Server::start(database, &[]);
        server.send("", "PUT", "/pony", r#"{"name": "Pony Build"}"#);
        let acknowledged = std::sync::Mutex::new(Vec::new());
        let enough = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let (server, acknowledged, enough) = (&server, &acknowledged, &enough);
                scope.spawn(move || {
                    for n in 0.. {
                        let steps: Vec<String> = (0..5).map(|step| format!(r#"{{"name": "{step}", "success": true, "output": "{writer} {n} {step} {}"}}"#, "x".repeat(1000))).collect();
                        let body = format!(r#"{{"success": true, "tags": ["a", "b"], "client": {{"host": "{writer}-{n}"}}, "results": [{}]}}"#, steps.join(","));
                        // The kill interrupts some request, which gets no response and no promise.
                        let Ok(answer) = server.request("POST", "/pony/builds").json(&body).try_send() else { break };
                        assert_eq!(answer.status, 201);
                        let mut acknowledged = acknowledged.lock().unwrap();
                        acknowledged.push((answer.header("location").to_owned(), format!("{writer}-{n}")));
                        let reached = acknowledged.len() == 100;
                        drop(acknowledged);
                        if reached {
                            enough.wait();
                        }
                    }
                });
            }
            enough.wait();
            server.signal("-KILL");
        });
        drop(server);

        let server = Server::start(database, &[]);
        let acknowledged = acknowledged.into_inner().unwrap();
        assert!(acknowledged.len() >= 100);
        for (path, host) in &acknowledged {
            let build = server.json(path);
            assert_eq!(build["client"]["host"], host.as_str());
            let steps = build["results"].as_array().unwrap();
            assert_eq!(steps.len(), 5);
            for (n, step) in steps.iter().enumerate() {
                let (writer, number) = host.split_once('-').unwrap();
                assert!(step["output"].as_str().unwrap().starts_with(&format!("{writer} {number} {n} x")));
            }
        }
        // Builds whose response was interrupted may exist as well, and are complete; the counts include
        // all.
        let list = server.json("/pony/builds?fields=id");
        let count = list["count"].as_u64().unwrap();
        assert!(count >= acknowledged.len() as u64 && count <= acknowledged.len() as u64 + 8);
        for tag in ["a", "b"] {
            assert_eq!(server.json(&format!("/pony/tags/{tag}?fields=id"))["count"], count);
        }
    }
}
