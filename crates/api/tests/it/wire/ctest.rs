//! CTest, as it submits to CDash.

use super::*;

pub(super) const CONFIGURE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Site BuildName="gcc" BuildStamp="20261125-1805-Experimental" Name="lab-7" Hostname="h" OSPlatform="x86_64" Generator="ctest-4.4.5">
<Configure><StartConfigureTime>1795629922</StartConfigureTime><ConfigureCommand>cmake</ConfigureCommand>
<Log>-- Done</Log><ConfigureStatus>0</ConfigureStatus><EndConfigureTime>1795629923</EndConfigureTime></Configure></Site>"#;

pub(super) const TEST: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Site BuildName="gcc" BuildStamp="20261125-1805-Experimental" Name="lab-7" OSPlatform="x86_64">
<Testing><TestList><Test>./good</Test></TestList><Test Status="passed"><Name>good</Name></Test>
<Test Status="failed"><Name>bad</Name></Test></Testing></Site>"#;

const DONE: &str =
    r#"<?xml version="1.0"?><Done><buildId></buildId><time>1795629930</time></Done>"#;

/// Submits a file of the build `gcc` of this group on `lab-7`.
pub(super) fn submit(server: &Server, project: &str, group: &str, file: &str) -> Answer {
    let path = format!(
        "/submit.php?project={project}&FileName=f___XML___F.xml&site=lab-7&build=gcc&stamp=20261125-1805-{group}"
    );
    let request = server.request("PUT", &path).header("Content-Type", "text/xml");
    server.send(request.body(file.as_bytes()))
}

fn number(answer: &Answer) -> String {
    let text = answer.text();
    let behind = text.split("<buildId>").nth(1).unwrap();
    behind.split('<').next().unwrap().to_owned()
}

#[test]
fn the_files_of_a_submission_are_the_steps_of_one_build() {
    on_both(|server| {
        let first = submit(server, "pony", "My%20Nightly", CONFIGURE);
        assert_eq!((first.status, first.header("content-type")), (200, "text/xml"));
        assert!(first.text().contains("<status>OK</status>"), "{}", first.text());
        assert!(number(&first).chars().all(|c| c.is_ascii_digit()));
        let [running] = builds(server, "pony").try_into().unwrap();
        assert_eq!(running["state"], "running");
        for file in [TEST, DONE] {
            let next = submit(server, "pony", "My%20Nightly", file);
            assert_eq!((next.status, number(&next)), (200, number(&first)));
        }
        let [build] = builds(server, "pony").try_into().unwrap();
        assert_eq!((&build["state"], &build["success"]), (&json!("finished"), &json!(false)));
        assert_eq!(build["finished"], "Wed, 25 Nov 2026 18:05:30 +0000");
        assert_eq!(build["tags"], json!(["My Nightly", "gcc"]));
        let client = &build["client"];
        assert_eq!((&client["host"], &client["arch"]), (&json!("lab-7"), &json!("x86_64")));
        assert_eq!(
            (&client["Generator"], &client["Hostname"]),
            (&json!("ctest-4.4.5"), &json!("h"))
        );
        assert_eq!(names(&build), ["configure", "test"]);
        assert_eq!(build["results"][0]["output"], "-- Done");
        assert_eq!((&build["tests"]["passed"], &build["tests"]["failed"]), (&json!(1), &json!(1)));
        let page = server.get(&format!("/buildSummary.php?buildid={}", number(&first)));
        let place = format!("/pony/builds/{}", build["id"].as_str().unwrap());
        assert_eq!((page.status, page.header("location")), (302, place.as_str()));
        let receipt = server.get(&format!("{place}/receipt")).json();
        assert_eq!(receipt["uploads"].as_array().unwrap().len(), 2, "{receipt}");
        assert_eq!(receipt["uploads"][1]["tests"]["total"], 2);
    });
}

#[test]
fn the_same_file_again_changes_nothing_whatever_came_between() {
    on_both(|server| {
        let send = |file: &str| assert_eq!(submit(server, "pony", "E", file).status, 200);
        [CONFIGURE, CONFIGURE, TEST, DONE, TEST, CONFIGURE, DONE].into_iter().for_each(send);
        let [build] = builds(server, "pony").try_into().unwrap();
        assert_eq!(names(&build), ["configure", "test"]);
        assert_eq!((&build["tests"]["total"], &build["state"]), (&json!(2), &json!("finished")));
    });
}

#[test]
fn a_late_part_is_added_and_another_run_is_another_build() {
    on_both(|server| {
        let send = |file: &str| assert_eq!(submit(server, "pony", "E", file).status, 200);
        [CONFIGURE, DONE, TEST].into_iter().for_each(send);
        let [build] = builds(server, "pony").try_into().unwrap();
        assert_eq!(names(&build), ["configure", "test"]);
        assert_eq!((&build["state"], &build["success"]), (&json!("finished"), &json!(false)));
        // Beside the first one while it runs, else the tests of another run.
        send(&TEST.replace("bad", "other"));
        let [second, first] = builds(server, "pony").try_into().unwrap();
        assert_eq!((&first["id"], &first["state"]), (&build["id"], &json!("finished")));
        assert_eq!((names(&second), &second["state"]), (vec!["test"], &json!("running")));
        send(&TEST.replace("bad", "third"));
        // The first run has this one.
        send(CONFIGURE);
        let [second, _] = builds(server, "pony").try_into().unwrap();
        assert_eq!(names(&second), ["test", "test"]);
    });
}

#[test]
fn a_damaged_or_foreign_file_is_refused_and_changes_nothing() {
    let server = Server::new();
    server.project("pony");
    let put = |query: &str, body: &str| {
        let request = server.request("PUT", &format!("/submit.php?{query}"));
        server.send(request.header("Content-Type", "text/xml").body(body.as_bytes()))
    };
    const WHO: &str = "project=pony&site=s&build=b&stamp=20261125-1805-E";
    let damaged = put(&format!("{WHO}&MD5=8433f3a0911cb07a2a5732681906b317"), CONFIGURE);
    assert_eq!(damaged.status, 400, "{}", damaged.text());
    assert!(damaged.message().contains("MD5"), "{}", damaged.message());
    assert_eq!(put(WHO, "<html/>").status, 415);
    assert_eq!(put(WHO, "<Site><Build>").status, 400);
    assert_eq!(put(WHO, "").status, 415);
    assert!(put("project=pony", "<Done/>").message().contains("site"));
    assert!(put("site=s", CONFIGURE).message().contains("project"));
    assert_eq!(put("buildid=7&filename=x", "bytes").status, 404);
    assert_eq!(server.get("/buildSummary.php?buildid=7").status, 404);
    assert_eq!(builds(&server, "pony").len(), 0);
}

#[test]
fn a_script_that_names_the_build_in_the_file_alone_is_understood() {
    let server = Server::new();
    let put = |query: &str, body: &str| {
        let request = server.request("PUT", &format!("/submit.php?project=pony{query}"));
        server.send(request.header("Content-Type", "text/xml").body(body.as_bytes()))
    };
    let first = put("", CONFIGURE);
    assert_eq!(first.status, 200);
    let name = "&FileName=lab-7___gcc___20261125-1805-Experimental___XML___Done.xml";
    assert_eq!(number(&put(name, DONE)), number(&first));
    let ended = DONE.replace("<buildId>", &format!("<buildId>{}", number(&first)));
    assert_eq!(put("", &ended).status, 200);
    assert_eq!(builds(&server, "pony")[0]["state"], "finished");
}

#[test]
fn spacks_reporter_is_understood() {
    let server = Server::new();
    // It names no file, and its key is a Bearer's.
    let put = |build: &str, body: &str| {
        let path = format!(
            "/submit.php?project=spack&build={}&site=node-7&stamp=20261127-2040-Experimental",
            build.replace(' ', "+")
        );
        let request = server.request("PUT", &path).header("Content-Type", "text/xml");
        server.send(request.header("Authorization", "Bearer spk:secret1").body(body.as_bytes()))
    };
    let site = |build: &str, part: &str| {
        format!(
            r#"<Site BuildName="{build}" BuildStamp="20261127-2040-Experimental" Name="node-7"
            Generator="spack-0.22.1" Hostname="" OSName="Linux" VendorString="zen3">{part}</Site>"#
        )
    };
    let update = |build: &str, end: &str| {
        format!(
            "<Update><Site>node-7</Site><BuildName>{build}</BuildName><BuildStamp>20261127-2040-Experimental</BuildStamp>
            <StartTime>1795629922</StartTime><UpdateCommand></UpdateCommand><UpdateType>GIT</UpdateType>
            <Revision>0467718c115fc056fcf28b1719acea72ff017ed4</Revision><EndTime>1795629922</EndTime>{end}</Update>"
        )
    };
    let build = site(
        "zlib - zlib",
        "<Build><BuildCommand>zlib</BuildCommand><Warning><Text>unused</Text><SourceFile></SourceFile>
        <SourceLineNumber></SourceLineNumber></Warning><ElapsedMinutes>0</ElapsedMinutes></Build>",
    );
    let configure = site(
        "zlib - zlib",
        "<Configure><ConfigureCommand>a && b</ConfigureCommand><Log>\u{1b}[36m==> gcc\u{1b}[0m</Log>
        <ConfigureStatus>0</ConfigureStatus></Configure>",
    );
    let first = put("zlib - zlib", &build);
    assert_eq!(first.status, 200, "{}", first.text());
    assert!(number(&first).chars().all(|c| c.is_ascii_digit()));
    for part in [update("zlib - zlib", ""), configure] {
        assert_eq!(number(&put("zlib - zlib", &part)), number(&first));
    }
    let failed = "<UpdateReturnStatus>Cannot concretize: a conflicts with b</UpdateReturnStatus>";
    assert_eq!(put("bad", &update("bad", failed)).status, 200);
    let builds = builds(&server, "spack");
    let [zlib, bad] = builds.as_slice() else { panic!("{builds:?}") };
    assert_eq!((names(zlib), names(bad)), (vec!["build", "update", "configure"], vec!["update"]));
    assert_eq!(zlib["client"]["commit"], "0467718c115fc056fcf28b1719acea72ff017ed4");
    assert_eq!(zlib["results"][2]["output"], "\u{1b}[36m==> gcc\u{1b}[0m");
    assert_eq!(bad["results"][0]["success"], false);
    assert_eq!(server.get("/users/spk").status, 200);
}

#[test]
fn a_file_without_a_place_is_named_in_the_receipt() {
    on_both(|server| {
        assert_eq!(submit(server, "pony", "E", CONFIGURE).status, 200);
        let form = "project=pony&site=lab-7&build=gcc&stamp=20261125-1805-E&datafilesmd5[0]=2d57&type=GcovTar";
        let asked = server.request("POST", "/submit.php");
        let asked = asked.header("Content-Type", "application/x-www-form-urlencoded");
        let answer = server.send(asked.body(form.as_bytes())).json();
        assert_eq!((&answer["status"], &answer["datafilesmd5"]), (&json!(0), &json!([0])));
        let path = format!(
            "/submit.php?type=GcovTar&filename=parts.tar&buildid={}",
            answer["buildid"].as_str().unwrap()
        );
        // Another part names the same bytes.
        let upload = "<Site Name=\"lab-7\"><Upload><File filename=\"p\"><Content encoding=\"base64\">AHRhcg==</Content></File></Upload></Site>";
        assert_eq!(submit(server, "pony", "E", upload).status, 200);
        for _ in 0..2 {
            let sent = server.send(server.request("PUT", &path).body(b"\x00tar"));
            assert_eq!((sent.status, sent.json()), (200, json!({"status": 0})));
        }
        let [build] = builds(server, "pony").try_into().unwrap();
        let receipt =
            server.get(&format!("/pony/builds/{}/receipt", build["id"].as_str().unwrap()));
        let receipt = receipt.json();
        let [_, _, dropped] = receipt["uploads"].as_array().unwrap().as_slice() else {
            panic!("{receipt}")
        };
        assert_eq!((&dropped["file"], &dropped["bytes"]), (&json!("parts.tar"), &json!(4)));
        assert_eq!(dropped["notes"][0]["kind"], "dropped");
    });
}

#[test]
fn first_files_at_once_are_one_build() {
    on_both(|server| {
        std::thread::scope(|scope| {
            for file in [CONFIGURE, TEST] {
                for _ in 0..3 {
                    scope.spawn(move || assert_eq!(submit(server, "pony", "E", file).status, 200));
                }
            }
        });
        let [build] = builds(server, "pony").try_into().unwrap();
        let mut names = names(&build);
        names.sort_unstable();
        assert_eq!(names, ["configure", "test"]);
    });
}

#[test]
fn who_began_a_build_continues_it() {
    let server = Server::new();
    let path = "/submit.php?project=pony&site=s&build=b&stamp=20261125-1805-E";
    let send = |user: Option<&str>, file: &str| {
        let mut request = server.request("PUT", path).body(file.as_bytes());
        if let Some(user) = user {
            request = request.header("Authorization", &format!("Bearer {user}:{user}-pw"));
        }
        server.send(request).status
    };
    assert_eq!(send(Some("alice"), CONFIGURE), 200);
    assert_eq!(send(Some("alice"), TEST), 200);
    assert_eq!(send(Some("bob"), DONE), 403);
    assert_eq!(send(None, DONE), 401);
    assert_eq!(send(Some("alice"), DONE), 200);
    assert_eq!(builds(&server, "pony")[0]["client"]["host"], "s");
}

#[test]
fn a_file_of_a_subproject_is_told_apart_and_its_name_is_a_tag() {
    on_both(|server| {
        let site = "<Site BuildName=\"gcc\" BuildStamp=\"20261125-1805-E\" Name=\"lab-7\">";
        let file = |name: &str| {
            format!(
                "{site}<Subproject name=\"{name}\"><Label>{name}</Label></Subproject><Configure><Log>{name}</Log></Configure></Site>"
            )
        };
        for name in ["core", "gui"] {
            let path = format!(
                "/submit.php?project=pony&site=lab-7&build=gcc&stamp=20261125-1805-E&subproject={name}"
            );
            let sent = server.send(server.request("PUT", &path).body(file(name).as_bytes()));
            assert_eq!(sent.status, 200, "{}", sent.text());
        }
        let [build] = builds(server, "pony").try_into().unwrap();
        assert_eq!(names(&build), ["configure (core)", "configure (gui)"]);
        assert_eq!(build["tags"], json!(["E", "core", "gcc", "gui"]));
        assert_eq!(server.get("/pony/tags/gui").json()["count"], 1);
    });
}

#[test]
fn the_end_takes_back_that_a_build_ended_in_silence() {
    let server = Server::new();
    assert_eq!(submit(&server, "pony", "E", CONFIGURE).status, 200);
    let hence = devmason_domain::Timestamp::now().micros() + 3_601_000_000;
    let hence = devmason_domain::Timestamp::from_parts(hence, 0).unwrap();
    let repository = open(&server.database.url, &Options::default()).unwrap();
    devmason_api::end_silent_builds(&*repository, hence, 1).unwrap();
    assert_eq!(submit(&server, "pony", "E", DONE).status, 200);
    let [build] = builds(&server, "pony").try_into().unwrap();
    assert_eq!((&build["state"], &build["client"]["ended_by"]), (&json!("finished"), &Value::Null));
    // So another configuration is that of another run.
    assert_eq!(submit(&server, "pony", "E", &CONFIGURE.replace("Done", "Again")).status, 200);
    assert_eq!(builds(&server, "pony").len(), 2);
}

#[test]
fn a_number_leads_only_to_builds_of_ctest_in_the_project_that_is_named() {
    let server = Server::new();
    let first = submit(&server, "pony", "E", CONFIGURE);
    let ended = DONE.replace("<buildId>", &format!("<buildId>{}", number(&first)));
    let elsewhere = server.request("PUT", "/submit.php?project=other").body(ended.as_bytes());
    assert_eq!(server.send(elsewhere).status, 404);
    assert_eq!(builds(&server, "pony")[0]["state"], "running");
    let launch = server.post("/api/v2/pony/launch", r#"{"name":"l","startTime":"1"}"#).json();
    let path = format!("/submit.php?buildid={}&filename=x", launch["number"]);
    assert_eq!(server.send(server.request("PUT", &path).body(b"x")).status, 404);
}

#[test]
fn a_report_that_is_refused_registers_no_project() {
    let server = Server::new();
    assert_eq!(submit(&server, "ghost", "E", "<html/>").status, 415);
    assert_eq!(server.post("/api/v2/ghost/launch", "{").status, 400);
    assert_eq!(server.post("/api/v2/ghost/launch", "[1]").status, 400);
    assert_eq!(server.get("/api/v2/ghost/launch?filter.in.uuid=x").status, 404);
    assert_eq!(server.post("/ghost/buildkite/v1/uploads", "{}").status, 400);
    assert_eq!(server.get("/ghost").status, 404);
    // Names in other scripts do not fall together.
    assert_eq!(submit(&server, "%E6%97%A5", "E", CONFIGURE).status, 200);
    assert_eq!(submit(&server, "%E6%9C%AC", "E", CONFIGURE).status, 200);
    assert_eq!(server.get("/").json()["projects"].as_array().unwrap().len(), 2);
}
