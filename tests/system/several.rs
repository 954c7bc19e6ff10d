//! Several servers on one database behave as one: what one has answered, all others show from then
//! on.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Mutex;
use std::time::Instant;

use crate::*;

/// A client's operation and its response.
#[derive(Debug, Clone)]
struct Event<O> {
    sent: Instant,
    answered: Instant,
    what: O,
}

/// Whether the events can be ordered so that each response is valid according to `step`, and no
/// event is placed before one that was answered before it was sent (Wing and Gong, 1993). `step`
/// returns the state after an event, or `None` if the response is impossible in the previous state.
fn is_linearizable<O, S: Clone + Eq + Hash>(
    events: &[Event<O>],
    state: S,
    step: &impl Fn(&S, &O) -> Option<S>,
) -> bool {
    let mut tried: HashSet<(Vec<bool>, S)> = HashSet::new();
    let mut open = vec![(vec![false; events.len()], state)];
    while let Some((done, state)) = open.pop() {
        let left = || events.iter().enumerate().filter(|(at, _)| !done[*at]);
        let Some(first) = left().map(|(_, event)| event.answered).min() else { return true };
        for (at, event) in left().filter(|(_, event)| event.sent <= first) {
            if let Some(state) = step(&state, &event.what) {
                let mut done = done.clone();
                done[at] = true;
                if tried.insert((done.clone(), state.clone())) {
                    open.push((done, state));
                }
            }
        }
    }
    false
}

#[test]
fn a_history_that_shows_an_old_value_is_found_out() {
    let start = Instant::now();
    let at = |micros| start + std::time::Duration::from_micros(micros);
    let event = |sent, answered, what| Event { sent: at(sent), answered: at(answered), what };
    // A number is written or read.
    let step = |state: &u8, (is_write, value): &(bool, u8)| {
        (*is_write || state == value).then_some(*value)
    };
    let write = event(0, 4, (true, 1));
    for (reads, is_fine) in [
        (vec![event(1, 3, (false, 1)), event(5, 6, (false, 1))], true),
        (vec![event(1, 3, (false, 0)), event(5, 6, (false, 1))], true),
        (vec![event(5, 6, (false, 0))], false),
        (vec![event(0, 1, (false, 1)), event(2, 3, (false, 0))], false),
    ] {
        let mut events = vec![write.clone()];
        events.extend(reads);
        assert_eq!(is_linearizable(&events, 0, &step), is_fine, "{events:?}");
    }
}

/// Operations of clients on one project, build or component.
#[derive(Debug, Clone)]
enum Done {
    Put(String, u16),
    Delete(u16),
    /// What was shown, if anything.
    Get(Option<String>),
}

/// The state is a project's name; a PUT changes an existing one.
fn of_project(name: &Option<String>, done: &Done) -> Option<Option<String>> {
    match done {
        Done::Put(new, 201) => name.is_none().then(|| Some(new.clone())),
        Done::Put(new, 200) => name.is_some().then(|| Some(new.clone())),
        Done::Delete(204) => name.is_some().then_some(None),
        Done::Delete(404) => name.is_none().then_some(None),
        Done::Get(shown) => (shown == name).then(|| name.clone()),
        Done::Put(..) | Done::Delete(_) => None,
    }
}

/// The state is the host of a build; a second PUT is rejected.
fn of_build(host: &Option<String>, done: &Done) -> Option<Option<String>> {
    match done {
        Done::Put(new, 200) => (host.as_ref() == Some(new)).then(|| host.clone()),
        Done::Put(_, 409) => host.is_some().then(|| host.clone()),
        other => of_project(host, other).filter(|_| !matches!(other, Done::Put(_, 200))),
    }
}

/// The state is the title of a component, which is created by name.
fn of_component(title: &Option<String>, done: &Done) -> Option<Option<String>> {
    match done {
        Done::Put(_, 409) => title.is_some().then(|| title.clone()),
        other => of_project(title, other),
    }
}

/// Four clients, each of which sends its requests to three servers in turn.
fn histories<const N: usize>(
    servers: &[Server; 3],
    act: impl Fn(&Server, usize, usize) -> Option<(usize, Done)> + Sync,
) -> [Vec<Event<Done>>; N] {
    let events: [Mutex<Vec<Event<Done>>>; N] = std::array::from_fn(|_| Mutex::default());
    std::thread::scope(|scope| {
        for client in 0..4 {
            let (events, act) = (&events, &act);
            scope.spawn(move || {
                for nth in 0..60 {
                    let sent = Instant::now();
                    if let Some((of, what)) = act(&servers[(client + nth) % 3], client, nth) {
                        let event = Event { sent, answered: Instant::now(), what };
                        events[of].lock().unwrap().push(event);
                    }
                }
            });
        }
    });
    events.map(|events| events.into_inner().unwrap())
}

fn three(database: &TestDatabase) -> [Server; 3] {
    std::array::from_fn(|_| Server::start(database, &[]))
}

fn shown(answer: &Response, member: &[&str]) -> Option<String> {
    let document: Value = serde_json::from_str(&answer.text()).unwrap();
    let value = member.iter().fold(&document, |value, name| &value[name]);
    (answer.status == 200).then(|| value.as_str().unwrap().to_owned())
}

with_each_database! {
    fn clients_that_hop_between_servers_see_one_history(database: &TestDatabase) {
        let servers = three(database);
        servers[0].send("", "PUT", "/stable", r#"{"name": "Stable"}"#);
        servers[0].send("alice", "POST", "/api/v1/componenttypes", r#"{"name": "kernel"}"#);
        let histories = histories::<3>(&servers, |server, client, nth| {
            let kind = (client * 7 + nth) % 3;
            let value = format!("{client}-{nth}");
            let path = ["/pony", "/stable/builds/one", "/api/v1/components/six"][kind];
            // Mostly reads, as in practice.
            let done = match (nth / 3 + client) % 6 {
                0 | 3 => {
                    let (method, path, body) = match kind {
                        0 => ("PUT", path, format!(r#"{{"name": "{value}"}}"#)),
                        1 => ("PUT", path, format!(r#"{{"success": true, "client": {{"host": "{value}"}}}}"#)),
                        _ => ("POST", "/api/v1/components", format!(r#"{{"name": "six", "componenttype": "kernel", "title": "{value}"}}"#)),
                    };
                    let answer = server.send("alice", method, path, &body);
                    // A request that gave way to a concurrent one had no effect: it is told to retry. So is a
                    // PUT of a build that was deleted between the refused insert and the look at why.
                    if answer.status == 503 {
                        return None;
                    }
                    Done::Put(value, answer.status)
                }
                1 => {
                    let request = server.request("DELETE", path).basic("alice", "alice-pw").header("If-Match", "*");
                    let answer = request.send();
                    // If nothing exists, no precondition matches.
                    Done::Delete(if answer.status == 412 { 404 } else { answer.status })
                }
                _ => {
                    let members: [&[&str]; 3] = [&["name"], &["client", "host"], &["component", "title"]];
                    Done::Get(shown(&server.get(path), members[kind]))
                }
            };
            Some((kind, done))
        });
        let rules = [of_project, of_build, of_component];
        for (events, rule) in histories.iter().zip(rules) {
            assert!(is_linearizable(events, None, &rule), "{events:#?}");
        }
        let something = |event: &Event<Done>| matches!(event.what, Done::Get(Some(_)));
        assert!(histories.iter().flatten().any(something));
    }

    fn a_password_that_was_changed_on_one_server_is_wrong_on_every_other(database: &TestDatabase) {
        let servers = three(database);
        let with = |server: &Server, password: &str| {
            server.request("GET", "/").basic("alice", password).send().status
        };
        servers[0].send("alice", "PUT", "/pony", r#"{"name": "Pony"}"#);
        assert_eq!(servers.each_ref().map(|server| with(server, "alice-pw")), [200; 3]);
        for nth in 0..3 {
            let (old, new) = (["alice-pw", "new 0", "new 1"][nth], format!("new {nth}"));
            let request = servers[nth].request("PUT", "/users/alice").basic("alice", old);
            assert_eq!(request.json(format!(r#"{{"password": "{new}"}}"#)).send().status, 200);
            for server in &servers {
                assert_eq!((with(server, old), with(server, &new)), (401, 200));
            }
        }
        // An unrelated change does not sign anyone out.
        servers[1].send("", "PUT", "/other", r#"{"name": "Other"}"#);
        assert_eq!(with(&servers[0], "new 2"), 200);
        let gone = servers[2].request("DELETE", "/users/alice").basic("alice", "new 2").send();
        assert_eq!(gone.status, 204);
        let change = servers[0].request("PUT", "/pony").basic("alice", "new 2").json(r#"{"name": "Mine"}"#);
        assert_eq!(change.send().status, 403, "whoever comes with that name now is somebody else");
    }

    fn a_component_is_deleted_or_tested_but_not_both(database: &TestDatabase) {
        let servers = three(database);
        servers[0].send("", "PUT", "/pony", r#"{"name": "Pony"}"#);
        servers[0].send("alice", "POST", "/api/v1/componenttypes", r#"{"name": "kernel"}"#);
        for nth in 0..40 {
            let body = format!(r#"{{"name": "{nth}", "componenttype": "kernel"}}"#);
            assert_eq!(servers[0].send("alice", "POST", "/api/v1/components", &body).status, 201);
            let (deleted, built) = std::thread::scope(|scope| {
                let delete = scope.spawn(|| {
                    let path = format!("/api/v1/components/{nth}");
                    servers[1].request("DELETE", &path).basic("alice", "alice-pw").header("If-Match", "*").send()
                });
                let body = format!(r#"{{"success": true, "components": [{{"type": "kernel", "name": "{nth}"}}]}}"#);
                let built = servers[2].send("", "POST", "/pony/builds", &body);
                (delete.join().unwrap(), built)
            });
            match (deleted.status, built.status) {
                (204, 400) => {}
                (409, 201) => {
                    let build = servers[0].json(built.header("location"));
                    assert_eq!(build["components"].as_array().unwrap().len(), 1);
                }
                statuses => panic!("{statuses:?}: {}", built.text()),
            }
        }
    }

    fn an_etag_from_before_a_restore_is_of_no_other_document(database: &TestDatabase) {
        let server = Server::start(database, &[]);
        let copy = |server: Server| {
            server.signal("-TERM");
            server.wait();
            database.copy()
        };
        let write = |server: &Server, text: &str| {
            for (path, body) in [
                ("/pony", format!(r#"{{"name": "{text}"}}"#)),
                (&format!("/{text}"), r#"{"name": "New"}"#.to_owned()),
                ("/pony/builds/1", format!(r#"{{"success": true, "tags": ["t"], "client": {{"host": "{text}"}}}}"#)),
            ] {
                let answer = server.send("alice", "PUT", path, &body);
                assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
            }
            let step = format!(r#"{{"name": "{text}", "success": true}}"#);
            assert_eq!(server.send("alice", "POST", "/pony/builds/run/progress", &step).status, 204);
            let type_of = format!(r#"{{"name": "{text}"}}"#);
            let request = server.request("PUT", "/api/v1/componenttypes/kernel").basic("alice", "alice-pw");
            assert_eq!(request.header("If-Match", "*").json(&type_of).send().status, 204);
            let password = server.request("PUT", "/users/alice").basic("alice", "alice-pw");
            assert_eq!(password.json(r#"{"password": "alice-pw"}"#).send().status, 200);
        };
        for (method, path, body) in [
            ("PUT", "/pony", r#"{"name": "Pony"}"#),
            ("POST", "/api/v1/componenttypes", r#"{"name": "kernel"}"#),
            ("PUT", "/pony/builds/run", r#"{"incremental": true}"#),
        ] {
            assert_eq!(server.send("alice", method, path, body).status, 201, "{path}");
        }
        let backup = copy(server);

        let port = |server: &Server| server.address.rsplit_once(':').unwrap().1.to_owned();
        let server = Server::start(database, &[]);
        let listen = format!("127.0.0.1:{}", port(&server));
        write(&server, "lost");
        let lists = [
            "/", "/pony", "/pony/builds", "/pony/builds/1", "/pony/builds/run", "/pony/tags", "/pony/tags/t",
            "/users", "/users/alice", "/users/alice/builds", "/lost", "/found",
        ];
        let read = |server: &Server, path: &str| {
            let answer = server.get(path);
            (answer.header("etag").to_owned(), answer.text())
        };
        let before: Vec<_> = lists.iter().map(|path| read(&server, path)).collect();
        server.signal("-TERM");
        server.wait();
        database.restore(&backup);

        // With the same address, because ETags depend on it as links do.
        let url = &database.url;
        let server = Server::spawn(program().args(["--listen", &listen, "--database-url", url]));
        write(&server, "found");
        for (path, (etag, text)) in lists.iter().zip(before).filter(|(_, (etag, _))| !etag.is_empty()) {
            let again = server.request("GET", path).header("If-None-Match", &etag).send();
            assert_ne!(again.status, 304, "{path}: {text}");
        }
    }
}

#[test]
fn what_a_database_lost_at_a_failover_is_not_shown_from_memory() {
    let database = devmason_test_support::Backend::Postgres.database();
    let server = Server::start(&database, &[]);
    server.send("", "PUT", "/pony", r#"{"name": "Pony"}"#);
    let backup = database.copy();
    server.send("", "PUT", "/pony/builds/lost", r#"{"success": true}"#);
    for _ in 0..2 {
        assert_eq!(server.get("/pony/builds/lost").status, 200);
    }
    // As a server sees a failover: its connections end, and the new database lacks the last
    // transactions.
    database.restore(&backup);
    assert_eq!(server.get("/pony").status, 200);
    assert_eq!(server.get("/pony/builds/lost").status, 404);
}
