//! Report files, named by paths and patterns, and the check of them.

use crate::*;

#[test]
fn files_that_cannot_be_read_keep_no_others_back() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    std::fs::create_dir(home.path().join("dir")).unwrap();
    let junit = r#"<testsuite><testcase name="t"/></testsuite>"#;
    std::fs::write(home.path().join("a.xml"), junit).unwrap();
    let report = home.run(&server.address, &["report", "dir", "missing.xml", "*.xml", "[.xml"]);
    assert_eq!(code(&report), 2);
    for problem in ["dir: ", "missing.xml: no such file", "[.xml: "] {
        assert!(err(&report).contains(problem), "{}", err(&report));
    }
    assert_eq!(server.build()["tests"]["total"], 1);
    assert_eq!(code(&home.run(&server.address, &["report", "missing.xml"])), 2);
}

#[test]
fn report_files_are_sent_by_path_pattern_and_standard_input_and_their_receipt_is_shown() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    std::fs::create_dir(home.path().join("out")).unwrap();
    for name in ["out/a.xml", "out/b.xml", "out/odd[1].xml"] {
        std::fs::write(home.path().join(name), JUNIT.replace("tests=\"2\"", "tests=\"3\""))
            .unwrap();
    }
    let checked = home.run(at, &["report", "--check", "out/*.xml"]);
    assert!(out(&checked).contains("out/a.xml: junit, 1 passed, 1 failed"), "{}", out(&checked));
    assert_eq!((code(&checked), server.builds().len()), (0, 0));

    let output = home.run(at, &["report", "-t", "unit", "out/?.xml", "out/odd[1].xml"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(
        out(&output).contains("out/b.xml: junit, 1 passed, 1 failed\n  odd: line 1: "),
        "{}",
        out(&output)
    );
    let build = server.build();
    assert_eq!((&build["tests"]["total"], &build["tags"][0]), (&6.into(), &"unit".into()));
    assert_eq!(build["results"][2]["name"], "out/odd[1].xml");

    let mut report = home.devmason(at, &["report", "--json", "--id", "17", "-"]);
    let mut child =
        report.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"1..1\nok 1 - a\n").unwrap();
    let receipt: Value = serde_json::from_str(&out(&child.wait_with_output().unwrap())).unwrap();
    assert_eq!(
        (&receipt["uploads"][0]["format"], &receipt["uploads"][0]["tests"]["passed"]),
        (&"tap".into(), &1.into())
    );
    assert_eq!(server.get("/pony/builds/17")["tests"]["total"], 1);
    assert_eq!(code(&home.run(at, &["report", "none/*.xml"])), 2);
}

/// An Allure test result.
fn allure(name: &str, status: &str) -> String {
    format!(
        r#"{{"uuid":"{name}","historyId":"{name}","name":"{name}","status":"{status}","stage":"finished","start":1,"stop":2}}"#
    )
}

#[test]
fn a_check_says_what_the_receipt_will_and_sends_nothing() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
    std::fs::create_dir(home.path().join("results")).unwrap();
    write("results/a-result.json", &allure("adds", "passed"));
    write("results/b-result.json", &allure("removes", "failed"));
    write("results/b-attachment.txt", "a picture");
    write("a.xml", &JUNIT.replace("tests=\"2\"", "tests=\"3\""));
    write("cut.xml", "<testsuite name='s'><testcase name='a'/>\n<testc");
    write("notes.txt", "hello");
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    let inside = "<testsuite name='s'><testcase name='a'/><testcase name='b'/></testsuite>";
    header.set_size(inside.len() as u64);
    archive.append_data(&mut header, "in.xml", inside.as_bytes()).unwrap();
    // After the header of 512 bytes, up to the second case.
    let archive = archive.into_inner().unwrap();
    std::fs::write(home.path().join("cut.tar"), &archive[..512 + 45]).unwrap();

    let checked = home.run(at, &["report", "--check", "a.xml", "results", "cut.xml", "cut.tar"]);
    let text = out(&checked);
    for line in [
        "a.xml: junit, 1 passed, 1 failed\n  odd: line 1: the suite",
        "results: allure, 1 passed, 1 failed\n  dropped: 1 other files, such as attachments",
        "cut.xml: junit, 1 passed\n  verdict: line 2: the file is truncated",
        "cut.tar/in.xml: junit, 1 passed\n  verdict: line 1: the file is truncated",
        "verdict: cannot read the file to its end: the tar archive is truncated",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert_eq!((code(&checked), server.builds().len()), (0, 0));
    let checked = home.run(at, &["report", "--check", "--json", "results", "notes.txt"]);
    let receipt: Value = serde_json::from_str(&out(&checked)).unwrap();
    let uploads = receipt["uploads"].as_array().unwrap();
    assert_eq!((&uploads[0]["files"], &uploads[0]["tests"]["failed"]), (&2.into(), &1.into()));
    assert!(
        uploads[1]["notes"][0]["text"].as_str().unwrap().contains("not a report in a supported")
    );
    assert_eq!((code(&checked), server.builds().len()), (1, 0));

    // The report matches the check.
    let sent = home.run(at, &["report", "--id", "1", "a.xml", "results", "cut.xml"]);
    assert!(out(&sent).contains("results: allure, 1 passed, 1 failed"), "{}", out(&sent));
    assert_eq!(server.get("/pony/builds/1")["tests"]["total"], 5);
    let alone = home.run(at, &["report", "--id", "2", "results"]);
    assert_eq!(code(&alone), 0, "{}", err(&alone));
    assert_eq!(server.get("/pony/builds/2")["tests"]["total"], 2);
    let run = [
        "run",
        "--id",
        "3",
        "--report",
        "fresh",
        "--report",
        "notes.txt",
        "--report",
        "*.xml",
        "--",
        "sh",
        "-c",
    ];
    let script = "mkdir fresh; cp results/a-result.json fresh; echo hello > notes.txt; \
                  cp a.xml b.xml; cp cut.xml half.xml";
    let run = home.run(at, &[run.as_slice(), &[script]].concat());
    assert_eq!(code(&run), 0, "{}", err(&run));
    let build = server.get("/pony/builds/3");
    assert_eq!(
        (&build["tests"]["total"], &build["success"]),
        (&7.into(), &false.into()),
        "{}",
        err(&run)
    );
    let receipt = server.get("/pony/builds/3/receipt").to_string();
    for words in ["notes.txt", "not a report in a supported format", "the file is truncated"] {
        assert!(receipt.contains(words), "{words}: {receipt}");
    }
    // Named one by one, they count as their folder.
    let checked = home.run(at, &["report", "--check", "results/*", "a.xml"]);
    assert_eq!(code(&checked), 0, "{}", err(&checked));
    for line in ["results: allure, 1 passed, 1 failed", "a.xml: junit, 1 passed, 1 failed"] {
        assert!(out(&checked).contains(line), "{line}: {}", out(&checked));
    }
    // A truncated archive and an empty report are left by tests that were killed.
    for (id, script) in [("5", "printf 'PK\\003\\004cut' > cut.zip"), ("6", ": > cut.zip")] {
        let run = ["run", "--id", id, "--report", "a*.xml", "--report", "cut.zip"];
        let run = home.run(at, &[run.as_slice(), &["--", "sh", "-c", script]].concat());
        assert_eq!(code(&run), 0, "{}", err(&run));
        let build = server.get(&format!("/pony/builds/{id}"));
        assert_eq!(build["success"], false, "{build}");
        assert!(build["results"].to_string().contains("cut.zip"), "{build}");
    }
    // If no file is a report, only the command counts.
    let run =
        ["run", "--id", "4", "--report", "notes.txt", "--", "sh", "-c", "echo hi > notes.txt"];
    let run = home.run(at, &run);
    assert!(err(&run).contains("notes.txt: skipped: "), "{}", err(&run));
    assert_eq!(server.get("/pony/builds/4")["success"], true);
}
