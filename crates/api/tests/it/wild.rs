//! Report files as tools really write them, in cases that are easily misparsed: what is stored of
//! each, and whether the build succeeded. `wild/README.md` says what is correct and why.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/wild")
}

fn read(file: &str) -> Vec<u8> {
    std::fs::read(folder().join(file)).unwrap()
}

fn upload(server: &Server, media_type: &str, body: &[u8]) -> Answer {
    let request = server.request("POST", "/pony/builds").header("Content-Type", media_type);
    server.send(request.body(body))
}

/// The result of an upload: the verdict, the steps, the test cases and the notes.
fn made_of(server: &Server, answer: &Answer) -> String {
    if answer.status != 201 {
        return format!("{} {}\n", answer.status, answer.text().trim_end());
    }
    let build = server.get(answer.header("location"));
    let document = build.json();
    let mut text = format!("success: {}\n", document["success"]);
    for step in document["results"].as_array().unwrap() {
        let (name, success) = (step["name"].as_str().unwrap(), &step["success"]);
        writeln!(text, "step {name:?}: {success}").unwrap();
        if let Some(reasons) = step["failure"].as_str() {
            writeln!(text, "  because {reasons}").unwrap();
        }
    }
    let Some(tests) = build.link("tests") else { return text };
    for case in server.get(&format!("{tests}?per_page=1000")).json()["tests"].as_array().unwrap() {
        let (status, name) = (case["status"].as_str().unwrap(), &case["full_name"]);
        writeln!(text, "{status} {name} {}", case["failure"]["message"]).unwrap();
    }
    let receipt = server.get(&build.link("receipt").unwrap()).json();
    for upload in receipt["uploads"].as_array().unwrap() {
        for note in upload["notes"].as_array().unwrap() {
            let (kind, said) = (note["kind"].as_str().unwrap(), note["text"].as_str().unwrap());
            writeln!(text, "note {kind}: {said}").unwrap();
        }
    }
    text
}

/// A form with files, given by their names and bytes.
fn form_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut form = Vec::new();
    for (name, body) in files {
        let head = format!(
            "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
        );
        form.extend([head.as_bytes(), body, b"\r\n"].concat());
    }
    form.extend(b"--x--\r\n");
    form
}

fn form(files: &[(&str, &str)]) -> Vec<u8> {
    let files: Vec<_> = files.iter().map(|(file, name)| (*name, read(file))).collect();
    let files: Vec<_> = files.iter().map(|(name, body)| (*name, body.as_slice())).collect();
    form_of(&files)
}

fn of_form(files: &[(&str, &str)]) -> String {
    let server = Server::new();
    server.project("pony");
    made_of(&server, &upload(&server, "multipart/form-data; boundary=x", &form(files)))
}

/// Files that are uploaded on their own.
fn all_alone() -> Vec<String> {
    let names = std::fs::read_dir(folder()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name != "README.md").collect();
    names.sort();
    names
}

#[test]
fn each_file_is_read_as_its_tool_means_it() {
    let server = Server::new();
    server.project("pony");
    let mut text = String::new();
    for name in all_alone() {
        let answer = upload(&server, "application/octet-stream", &read(&name));
        writeln!(text, "== {name}\n{}", made_of(&server, &answer)).unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_report_beside_a_file_that_is_none_is_read_and_the_other_named() {
    insta::assert_snapshot!(
        [
            of_form(&[("mochawesome-junit.xml", "junit.xml"), ("mochawesome.json", "m.json")]),
            of_form(&[("sarif-junit.xml", "junit.xml"), ("lint.sarif.json", "lint.sarif.json")]),
        ]
        .join("\n")
    );
}

#[test]
fn tests_of_one_name_in_two_files_are_told_apart_or_noted() {
    let of =
        |module: &str| format!("{module}/target/surefire-reports/TEST-org.example.UtilTest.xml");
    insta::assert_snapshot!(of_form(&[("modules-a.xml", &of("a")), ("modules-b.xml", &of("b"))]));
}

#[test]
fn results_of_allure_are_one_report_however_they_come() {
    let server = Server::new();
    server.project("pony");
    let zip = upload(&server, "application/zip", &read("allure-mocha.zip"));
    let zip = made_of(&server, &zip);
    // The format is detected from the bytes.
    for (media_type, file) in [
        ("application/octet-stream", "allure-mocha.zip"),
        ("application/octet-stream", "allure-mocha.tar.gz"),
        ("application/x-tar", "allure-mocha.tar.gz"),
    ] {
        let answer = upload(&server, media_type, &read(file));
        assert_eq!(made_of(&server, &answer), zip, "{media_type} {file}");
    }
    let in_form = of_form(&[("allure-mocha.zip", "allure.zip")]);
    assert_eq!(in_form.replace("allure.zip/", ""), zip);
    let retried = upload(&server, "application/zip", &read("allure-pytest-retried.zip"));
    insta::assert_snapshot!([zip, made_of(&server, &retried)].join("\n"));
}

#[test]
fn an_archive_is_unpacked_within_its_bounds() {
    let server = Server::new();
    server.project("pony");
    let refused = |body: &[u8], words: &str| {
        let answer = upload(&server, "application/zip", body);
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains(words), "{}", answer.text());
    };
    let whole = read("allure-mocha.zip");
    refused(&whole[..20], "invalid ZIP archive");
    refused(b"\x1f\x8b nothing", "invalid gzip data");
    // An end record that claims more files than an upload may have: 10 bytes in, 16 bits.
    let mut many = whole.clone();
    let end = many.windows(4).rposition(|window| window == b"PK\x05\x06").unwrap();
    many[end + 8..end + 12].copy_from_slice(&[0xff; 4]);
    refused(&many, "more than 10000 files");
    assert_eq!(server.get("/pony/builds").json()["count"], 0);
}

#[test]
fn an_archive_that_is_cut_off_is_a_failed_build_of_what_came_before() {
    let server = Server::new();
    server.project("pony");
    let zip = read("allure-mocha.zip");
    let tar = read("allure-mocha.tar.gz");
    let of_zip = upload(&server, "application/zip", &zip[..zip.len() - 30]);
    let of_tar = upload(&server, "application/gzip", &tar[..tar.len() * 3 / 4]);
    insta::assert_snapshot!([made_of(&server, &of_zip), made_of(&server, &of_tar)].join("\n"));
}

#[test]
fn a_file_that_is_broken_fails_the_build_and_keeps_no_other_out() {
    let server = Server::new();
    server.project("pony");
    let whole = read("allure-mocha.zip");
    let cut = &whole[..whole.len() - 30];
    let form = form_of(&[
        ("unit.xml", &read("modules-a.xml")),
        ("allure.zip", cut),
        ("killed.xml", b""),
        ("notes.txt", b""),
    ]);
    let answer = upload(&server, "multipart/form-data; boundary=x", &form);
    insta::assert_snapshot!(made_of(&server, &answer));
}

#[test]
fn a_result_of_allures_that_is_long_or_cut_off_is_no_attachment() {
    let server = Server::new();
    server.project("pony");
    let result = |status: &str, trace: &str| {
        format!(
            r#"{{"name":"{status}","status":"{status}","statusDetails":{{"trace":"{trace}"}},"start":1,"uuid":"{status}","historyId":"{status}"}}"#
        )
    };
    let (passed, failed) = (result("passed", ""), result("failed", &"x".repeat(20_000)));
    for (second, total) in [(failed.as_str(), 2), (&failed[..100], 1)] {
        for name in ["r/a-result.json", "r/z-result.json"] {
            let files = [(name, second.as_bytes()), ("r/b-result.json", passed.as_bytes())];
            let answer = upload(&server, "multipart/form-data; boundary=x", &form_of(&files));
            let build = server.get(answer.header("location")).json();
            assert_eq!(
                (&build["success"], &build["tests"]["total"]),
                (&false.into(), &total.into())
            );
        }
    }
}

#[test]
fn json_of_another_tool_is_not_an_empty_build() {
    let server = Server::new();
    server.project("pony");
    for (file, tests) in
        [("jest-json-as-build.json", 2), ("cucumber.json", 1), ("mochawesome.json", 1)]
    {
        let answer = upload(&server, "application/json", &read(file));
        assert_eq!(answer.status, 201, "{file}: {}", answer.text());
        let build = server.get(answer.header("location")).json();
        assert_eq!(build["tests"]["total"], tests, "{file}");
    }
    let findings = upload(&server, "application/json", &read("lint.sarif.json"));
    assert_eq!(findings.status, 415, "{}", findings.text());
    assert_eq!(server.get("/pony/builds").json()["count"], 3);
}

#[test]
fn a_report_with_a_placeholder_for_its_date_is_the_latest_build() {
    for (before, after) in [
        ("gtest-disabled-1970-before.xml", "gtest-disabled-1970.xml"),
        ("jest-before.xml", "jest-junit-suite-1970.xml"),
        ("xmlrunner-year-1-before.xml", "xmlrunner-year-1.xml"),
    ] {
        let server = Server::new();
        server.project("pony");
        upload(&server, "application/octet-stream", &read(before));
        let last = upload(&server, "application/octet-stream", &read(after));
        assert_eq!(server.get("/pony/builds/latest").header("location"), last.header("location"));
    }
}
