//! What the spool promises.

#![expect(clippy::unwrap_used, reason = "tests")]
use std::os::unix::fs::PermissionsExt;

use super::*;

fn about() -> About {
    About {
        server: "http://127.0.0.1:9".to_owned(),
        project: "p".to_owned(),
        build: "/p/builds/1".to_owned(),
        create: false,
        user: None,
    }
}

fn entry(body: &str) -> Entry {
    Entry {
        opens: None,
        piece: None,
        method: "POST".to_owned(),
        target: "/p/builds/1/progress".to_owned(),
        key: Some("k".to_owned()),
        media_type: "application/json".to_owned(),
        body: body.as_bytes().to_vec(),
    }
}

#[test]
fn what_is_pushed_is_there_in_order_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(&dir.path().join("a/b"), 10_000).unwrap();
    let session = spool.begin(about()).unwrap();
    for body in ["one\ntwo", "", "three"] {
        session.push(&entry(body)).unwrap();
    }
    let again = spool.session(&session.name()).unwrap();
    assert_eq!(again.about(), &about());
    let read: Vec<_> = again.entries().iter().map(|path| read_entry(path).unwrap()).collect();
    assert_eq!(read, [entry("one\ntwo"), entry(""), entry("three")]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(spool.dir()), mode(&again.entries()[0])), (0o700, 0o600));
    assert_eq!(spool.sessions().len(), 1);
}

#[test]
fn a_full_spool_takes_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), 1_000).unwrap();
    let session = spool.begin(about()).unwrap();
    session.push(&entry(&"x".repeat(400))).unwrap();
    let error = session.push(&entry(&"x".repeat(400))).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
    assert_eq!(session.waiting(), 1);
}

#[test]
fn names_lead_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), 1_000).unwrap();
    assert!(spool.session("../../etc").is_err());
    assert!(spool.session("0").is_err());
}

#[test]
fn what_was_refused_takes_no_room_from_what_waits_and_has_a_bound_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), 1_000).unwrap();
    for _ in 0..5 {
        let session = spool.begin(about()).unwrap();
        session.push(&entry(&"x".repeat(400))).unwrap();
        session.put_all_aside("it is bad");
    }
    assert!(size(&dir.path().join(REFUSED)) <= 1_000);
    assert_eq!(fs::read_dir(dir.path().join(REFUSED)).unwrap().count(), 1);
}

#[test]
fn a_process_is_not_taken_for_dead_before_it_has_begun() {
    let dir = tempfile::tempdir().unwrap();
    let session = Spool::open(dir.path(), 1_000).unwrap().begin(about()).unwrap();
    let alive = session.keep_alive().unwrap();
    session.end_for_the_dead();
    drop(alive);
    session.end_for_the_dead();
    assert_eq!(session.waiting(), 0);
    let alive = session.keep_alive().unwrap();
    session.push(&entry("x")).unwrap();
    session.end_for_the_dead();
    assert_eq!(session.waiting(), 1);
    drop(alive);
    // However full the spool is.
    let full = Session { limit: 0, ..session };
    full.end_for_the_dead();
    full.end_for_the_dead();
    assert_eq!(full.waiting(), 2);
}

#[test]
fn a_build_that_a_part_is_missing_of_did_not_succeed_unless_somebody_says_so() {
    let end = |body: &str| String::from_utf8(end_of_incomplete(body.as_bytes().to_vec())).unwrap();
    assert_eq!(end(r#"{"success":null}"#), r#"{"success":false}"#);
    assert_eq!(end(r#"{"success":true}"#), r#"{"success":true}"#);
}

#[test]
fn many_processes_add_to_one_session_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), 1 << 20).unwrap();
    let name = spool.begin(about()).unwrap().name();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let session = spool.session(&name).unwrap();
                (0..10).for_each(|_| session.push(&entry("x")).unwrap());
            });
        }
    });
    assert_eq!(spool.session(&name).unwrap().waiting(), 80);
}

#[test]
fn an_entry_names_only_what_is_queued_for_its_build() {
    let dir = tempfile::tempdir().unwrap();
    let session = Spool::open(dir.path(), 1 << 20).unwrap().begin(about()).unwrap();
    let of = |method: &str, target: &str, key: Option<&str>, media_type: &str| Entry {
        opens: None,
        piece: None,
        method: method.to_owned(),
        target: target.to_owned(),
        key: key.map(str::to_owned),
        media_type: media_type.to_owned(),
        body: b"{}".to_vec(),
    };
    let json = "application/json";
    for good in [
        of("PUT", "/p/builds/1", None, json),
        of("PUT", "/p/builds/1?tag=a%2Db&client.ci=github&name=x%2Exml", None, "application/x-tar"),
        of("POST", "/p/builds/1/progress", Some("k"), json),
        of("POST", "/p/builds/1/progress?name=x", Some("k"), "application/octet-stream"),
        of("DELETE", "/p/builds/1/progress", None, json),
    ] {
        session.push(&good).unwrap();
    }
    let step = "0b6f1c1a-5b6e-4c5e-9d3e-2f8b7a1c0d4e";
    let piece = |target: &str| Entry { piece: Some((0, 2)), ..of("POST", target, None, json) };
    session.push(&piece(&format!("/p/builds/1/steps/{step}/log"))).unwrap();
    session.push(&of("PUT", &format!("/p/builds/1/steps/{step}"), None, json)).unwrap();
    for bad in [
        piece("/p/builds/1/steps/0/log"),
        piece(&format!("/p/builds/2/steps/{step}/log")),
        piece(&format!("/p/builds/1/steps/{step}/log?x")),
        of("POST", &format!("/p/builds/1/steps/{step}/log"), None, json),
        of("PUT", "/p/builds/1/steps/0", None, json),
        Entry {
            opens: Some("../x".to_owned()),
            ..of("POST", "/p/builds/1/progress", Some("k"), json)
        },
        of("DELETE", "/p", None, json),
        of("DELETE", "/p/builds/1", None, json),
        of("DELETE", "/p/builds/2/progress", None, json),
        of("DELETE", "http://127.0.0.1:9/p", None, json),
        of("PUT", "/p/builds/1/../../q", None, json),
        of("PUT", "/p/builds/1?a/b", None, "application/x-tar"),
        of("POST", "/p/builds/1/progress", Some("a\nb"), json),
        of("PATCH", "/p/builds/1", None, json),
    ] {
        let error = session.push(&bad).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{bad:?}");
    }
    let elsewhere = About { build: "/q/builds/1".to_owned(), ..about() };
    assert!(about().is_sound() && !elsewhere.is_sound());
}

#[test]
fn a_spool_is_its_owners_alone_and_leads_nowhere_else() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("spool");
    let spool = Spool::open(&root, 1 << 20).unwrap();
    let session = spool.begin(about()).unwrap();
    session.push(&entry("x")).unwrap();
    let victim = dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    for name in ["number.lock", "send.lock", "last", "open", "ended", INCOMPLETE] {
        let _ = fs::remove_file(session.dir.join(name));
        symlink(&victim, session.dir.join(name)).unwrap();
    }
    assert!(session.push(&entry("y")).is_err() && session.keep_open().is_err());
    session.mark_incomplete();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    let link = dir.path().join("link");
    symlink(&root, &link).unwrap();
    assert!(Spool::open(&link, 1).is_err());
    let mode = |mode| fs::set_permissions(&root, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o777);
    assert!(Spool::open(&root, 1).is_err());
    mode(0o755);
    assert!(Spool::open(&root, 1).is_ok());
    assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
    let path = &session.entries()[0];
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(read_entry(path).is_err());
}

#[test]
fn pieces_of_a_log_that_follow_each_other_become_one() {
    let piece = |offset, text: &str| Entry {
        piece: Some((offset, text.len() as u64)),
        body: format!("[[0,\"out\",\"{text}\"]]").into_bytes(),
        target: "/p/builds/1/steps/x/log".to_owned(),
        ..entry("")
    };
    let mut first = piece(0, "ab");
    assert!(first.is_followed_by(&piece(2, "c")) && !first.is_followed_by(&piece(3, "c")));
    let elsewhere = Entry { target: "/p/builds/1/steps/y/log".to_owned(), ..piece(2, "c") };
    assert!(!first.is_followed_by(&elsewhere) && !first.is_followed_by(&entry("x")));
    first.join(&piece(2, "c"));
    first.join(&Entry { body: b"[ ]".to_vec(), ..piece(3, "") });
    assert_eq!(first.piece, Some((0, 3)));
    assert_eq!(first.body, br#"[[0,"out","ab"],[0,"out","c"]]"#);
    assert_eq!(number_in(Some("/x/p/builds/1/steps/17")), Some(17));
    assert_eq!(number_in(Some("/p/builds/1")), None);
}
