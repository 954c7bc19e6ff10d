//! Builds of several steps, each reported by its own command.

use crate::*;

#[test]
fn a_build_of_several_steps_is_begun_added_to_and_ended() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    std::fs::write(home.path().join("junit.xml"), JUNIT).unwrap();
    let begun = home.run(at, &["begin", "-t", "nightly"]);
    let name = out(&begun).trim().to_owned();
    let step = |arguments: &[&str]| {
        let output = home.devmason(at, arguments).env("DEVMASON_BUILD", &name).output().unwrap();
        code(&output)
    };
    assert_eq!(server.build()["id"], name.as_str());
    assert_eq!(step(&["step", "compile", "--", "sh", "-c", "echo done"]), 0);
    assert_eq!(step(&["step", "lint", "--", "false"]), 1);
    assert_eq!(step(&["step", "pack", "--failed", "--output", "junit.xml"]), 0);
    assert_eq!(step(&["report", "junit.xml"]), 0);
    assert_eq!(server.build()["state"], "running");
    assert_eq!(step(&["end", "--success"]), 0);
    let build = server.build();
    let names: Vec<_> = build["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["compile", "lint", "pack", "junit.xml"]);
    assert_eq!((&build["success"], &build["tests"]["failed"]), (&true.into(), &1.into()));
    // The build has ended: this client no longer knows it.
    assert_eq!(step(&["step", "late", "--", "sh", "-c", "exit 8"]), 8);
    assert_eq!(server.build()["results"].as_array().unwrap().len(), 4);
}

#[test]
fn builds_of_two_projects_that_have_one_id_are_told_apart() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    for project in ["pony", "zebra"] {
        assert_eq!(code(&home.run(at, &["--create", "begin", "-p", project, "--id", "1"])), 0);
    }
    for (project, step) in [("pony", "a"), ("zebra", "b")] {
        assert_eq!(code(&home.run(at, &["step", "-p", project, "-b", "1", step])), 0);
        let steps = server.get(&format!("/{project}/builds/1"))["results"].clone();
        assert_eq!((steps.as_array().unwrap().len(), &steps[0]["name"]), (1, &step.into()));
    }
}

#[test]
fn steps_of_scripts_without_a_server_are_sent_later_in_order() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = server.address.clone();
    drop(server);
    let name = out(&home.run(&at, &["begin"])).trim().to_owned();
    for step in ["a", "b"] {
        assert_eq!(code(&home.run(&at, &["step", "-b", &name, step])), 0);
    }
    assert_eq!(code(&home.run(&at, &["--strict", "end", "-b", &name])), 3);
    let server = Server::at(&at, &database);
    assert_eq!(code(&home.run(&at, &["flush"])), 0);
    let build = server.build();
    assert_eq!((&build["results"][1]["name"], &build["state"]), (&"b".into(), &"finished".into()));
}
