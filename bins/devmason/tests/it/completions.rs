//! Completions for shells, and manual pages.

use crate::*;

#[test]
fn a_script_of_completions_that_nobody_reads_to_its_end_is_no_failure() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let mut completions = home.devmason(&server.address, &["completions", "bash"]);
    let mut child = completions.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), err(&output)), (0, String::new()));
}

#[test]
fn completions_and_manual_pages_are_written() {
    let home = Home::new();
    let completions = home.run("127.0.0.1:1", &["completions", "bash"]);
    assert!(out(&completions).contains("complete -F _devmason"));
    std::fs::create_dir(home.path().join("man")).unwrap();
    assert_eq!(code(&home.run("127.0.0.1:1", &["man", "man"])), 0);
    assert!(
        home.path().join("man/devmason.1").exists()
            && home.path().join("man/devmason-run.1").exists()
    );
}
