#![expect(clippy::unwrap_used, reason = "tests")]

use devmason_domain::TestStatus;

use super::*;

fn of(kind: &str) -> File {
    let site = r#"<?xml version="1.0" encoding="UTF-8"?>
        <?xml-stylesheet type="text/xsl" href="Build.xsl <file:///Build.xsl> "?>
        <Site BuildName="gcc" BuildStamp="20261125-1805-My Nightly" Name="lab-7" OSPlatform="x86_64" Generator="ctest-4.4.5">"#;
    read(format!("{site}{kind}</Site>").as_bytes(), None, Timestamp::now()).unwrap()
}

fn member(file: &File, name: &str) -> Option<String> {
    file.part.step.as_ref().unwrap().extras.member_text(name)
}

#[test]
fn the_configuration_is_a_step() {
    let file = of("<Configure><StartConfigureTime>1795629922</StartConfigureTime>
        <ConfigureCommand>&quot;cmake&quot; .</ConfigureCommand><Log>-- Done\n</Log>
        <ConfigureStatus>1</ConfigureStatus><EndConfigureTime>1795629923</EndConfigureTime></Configure>");
    assert_eq!(file.kind, Kind::Configure);
    assert_eq!(file.identity.site, "lab-7");
    assert_eq!(file.identity.group(), Some("My Nightly"));
    let step = file.part.step.as_ref().unwrap();
    assert_eq!(
        (step.name.as_str(), step.success, step.output.as_str()),
        ("configure", false, "-- Done\n")
    );
    assert_eq!(step.finished.micros() - step.started.micros(), 1_000_000);
    assert_eq!(member(&file, "command").as_deref(), Some("\"cmake\" ."));
    assert!(file.part.client.contains(&("arch".to_owned(), "x86_64".to_owned())));
}

#[test]
fn a_status_that_is_no_number_is_a_failure() {
    let file = of("<Configure><ConfigureStatus>failed</ConfigureStatus></Configure>");
    assert!(!file.part.step.unwrap().success);
    let file = of("<Subproject name=\"s\"><Label>l</Label></Subproject><Build></Build>");
    assert_eq!(file.kind, Kind::Build);
}

#[test]
fn a_compilation_fails_by_an_error_and_not_by_a_warning() {
    let warning = "<Warning><Text>a.c:3: warning: w</Text><SourceFile>a.c</SourceFile>
        <SourceLineNumber>3</SourceLineNumber><PreContext>before</PreContext></Warning>";
    let file = of(&format!("<Build>{warning}</Build>"));
    assert!(file.part.step.as_ref().unwrap().success);
    assert!(file.part.step.as_ref().unwrap().output.contains("a.c:3\nbefore\na.c:3: warning: w"));
    let failure = r#"<Failure type="Error"><Action><SourceFile>b.c</SourceFile></Action><Command><Argument>cc</Argument>
        <Argument>b.c</Argument></Command><Result><StdErr>bad &amp; ugly</StdErr><ExitCondition>1</ExitCondition></Result></Failure>"#;
    let file = of(&format!("<Build>{warning}{failure}</Build>"));
    let step = file.part.step.as_ref().unwrap();
    assert!(!step.success);
    assert!(step.errout.contains("cc b.c\nbad & ugly\nexit condition: 1"), "{}", step.errout);
    assert_eq!(member(&file, "errors").as_deref(), Some("1"));
    assert_eq!(member(&file, "warnings").as_deref(), Some("1"));
}

#[test]
fn tests_are_cases() {
    let file = of(r#"<Testing><TestList><Test>./a</Test></TestList>
        <Test Status="passed"><Name>a</Name></Test><Test Status="failed"><Name>b</Name></Test></Testing>"#);
    let names: Vec<_> =
        file.part.tests.iter().map(|test| (test.name.as_str(), test.status)).collect();
    assert_eq!(names, [("a", TestStatus::Passed), ("b", TestStatus::Failed)]);
    assert_eq!(file.part.step.as_ref().unwrap().name.as_str(), "test");
    let junit = read(
        b"<testsuites><testsuite name='s'><testcase name='j'/></testsuite></testsuites>",
        None,
        Timestamp::now(),
    );
    assert_eq!(junit.unwrap().part.tests[0].name, "j");
}

#[test]
fn an_update_names_the_commit() {
    let update = r#"<?xml version="1.0"?><Update mode="Client" Generator="ctest-4.4.5"><Site>lab-7</Site><BuildName>gcc</BuildName>
        <BuildStamp>20261125-1805-Nightly</BuildStamp><Revision>1f0c</Revision><Directory><Name>src</Name><Updated>
        <Name>a.c</Name><FullName>src/a.c</FullName><Author>alice</Author><Log>why</Log></Updated></Directory>
        <UpdateReturnStatus></UpdateReturnStatus></Update>"#;
    let file = read(update.as_bytes(), None, Timestamp::now()).unwrap();
    assert_eq!((file.kind, file.identity.build.as_str()), (Kind::Update, "gcc"));
    let step = file.part.step.as_ref().unwrap();
    assert!(
        step.success && step.output.contains("Updated src/a.c alice\n    why"),
        "{}",
        step.output
    );
    assert!(file.part.client.contains(&("commit".to_owned(), "1f0c".to_owned())));
}

#[test]
fn files_have_no_place_and_are_named() {
    let file = of(
        r#"<Upload><Time>1</Time><File filename="/tmp/log.txt"><Content encoding="base64">aGVsbG8=</Content></File></Upload>"#,
    );
    let note = &file.part.receipt.notes[0];
    assert_eq!((note.kind.as_str(), file.part.step.is_none()), ("dropped", true));
    assert!(note.text.contains("/tmp/log.txt") && note.text.contains("5 bytes"), "{}", note.text);
}

#[test]
fn notes_coverage_and_memory_checks_are_steps() {
    let notes =
        of(r#"<Notes><Note Name="/n.txt"><Time>1</Time><Text>remember</Text></Note></Notes>"#);
    assert_eq!(notes.part.step.unwrap().output, "/n.txt:\nremember\n\n");
    let coverage = of(
        r#"<Coverage><File Name="a.c" FullPath="./a.c"><PercentCoverage>50.00</PercentCoverage></File>
        <LOCTested>10</LOCTested><PercentCoverage>50.00</PercentCoverage></Coverage>"#,
    );
    assert_eq!(member(&coverage, "LOCTested").as_deref(), Some("10.0"));
    assert!(coverage.part.step.unwrap().output.contains("50.00 % ./a.c"));
    let memory = of(
        r#"<DynamicAnalysis Checker="Valgrind"><TestList><Test>./a</Test></TestList><Test Status="passed"><Name>a</Name>
        <Results><Defect type="Memory Leak">2</Defect></Results></Test><Test Status="passed"><Name>b</Name></Test></DynamicAnalysis>"#,
    );
    assert_eq!(member(&memory, "checker").as_deref(), Some("Valgrind"));
    let statuses: Vec<_> = memory.part.tests.iter().map(|test| test.status).collect();
    assert_eq!(statuses, [TestStatus::Failed, TestStatus::Passed]);
}

#[test]
fn the_end_has_a_time_and_perhaps_a_number() {
    let done = |number: &str| {
        let text = format!(
            "<?xml version=\"1.0\"?><Done><buildId>{number}</buildId><time>1795629922</time></Done>"
        );
        read(text.as_bytes(), None, Timestamp::now()).unwrap()
    };
    assert_eq!(done("42").build_number.as_deref(), Some("42"));
    assert_eq!(
        (done("").build_number, done("").ended.unwrap().micros()),
        (None, 1_795_629_922_000_000)
    );
}

#[test]
fn the_identity_is_in_the_name_of_the_file_too() {
    let name = "lab-7___linux gcc/12___20261125-1805-Experimental___XML___Configure.xml";
    let identity = Identity::of_file_name(name);
    assert_eq!((identity.site.as_str(), identity.build.as_str()), ("lab-7", "linux gcc/12"));
    assert!(identity.key().is_ok());
    assert_eq!(Identity::of_file_name("Configure.xml"), Identity::default());
    assert!(Identity::default().key().unwrap_err().to_string().starts_with("site:"));
}

#[test]
fn what_is_no_submission_is_refused() {
    for text in [
        "",
        "hello",
        "<html/>",
        "<Site Name='x'><Other/></Site>",
        "<Site",
        "<Site Name='x'><Build>",
    ] {
        assert!(read(text.as_bytes(), None, Timestamp::now()).is_err(), "{text}");
    }
}

#[test]
fn a_response_has_none_of_the_words_that_make_a_submission_fail() {
    let taken = taken(42).to_lowercase();
    assert!(taken.contains("<buildid>42</buildid>") && taken.contains("<status>ok</status>"));
    assert!(!taken.contains("error") && !taken.contains("warning"));
}
