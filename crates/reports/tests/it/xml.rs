//! The other XML formats.

use super::*;

#[test]
fn trx_is_read() {
    let read = read(
        r#"<?xml version="1.0" encoding="utf-8"?>
<TestRun id="1" name="run" xmlns="http://microsoft.com/schemas/VisualStudio/TeamTest/2010">
  <Times start="2026-01-02T03:04:05.0000000+01:00"/>
  <Results>
    <UnitTestResult testId="t1" testName="Ns.Class.Passes" computerName="PC" duration="00:00:01.5000000" outcome="Passed"><Output><StdOut>hi</StdOut></Output></UnitTestResult>
    <UnitTestResult testId="t2" testName="Fails(1)" duration="00:00:00.0010000" outcome="Failed"><Output><ErrorInfo><Message>no</Message><StackTrace>at x</StackTrace></ErrorInfo></Output></UnitTestResult>
    <UnitTestResult testId="t3" testName="Skips" outcome="NotExecuted"/>
  </Results>
  <TestDefinitions>
    <UnitTest id="t1" name="Ns.Class.Passes"><TestMethod className="Ns.Class, Assembly" name="Passes"/></UnitTest>
    <UnitTest id="t2" name="Fails"><TestMethod className="Ns.Class" name="Fails"/></UnitTest>
  </TestDefinitions>
</TestRun>"#,
    );
    assert_eq!(
        cases(&read),
        ["Ns.Class::Passes passed", "Ns.Class::Fails(1) failed", "::Skips skipped"]
    );
    assert_eq!((read.cases[0].micros, read.cases[0].stdout.as_str()), (Some(1_500_000), "hi"));
    let failure = read.cases[1].failure.as_ref().unwrap();
    assert_eq!((failure.message.as_deref(), failure.text.as_deref()), (Some("no"), Some("at x")));
    assert_eq!(read.suites[0].host.as_deref(), Some("PC"));
}

#[test]
fn xunit_is_read() {
    let read = read(
        r#"<assemblies><assembly name="C:\x\Tests.dll" run-date="2026-01-02" run-time="03:04:05" time="0.5">
  <errors><error name="fixture"><failure><message>broke</message></failure></error></errors>
  <collection name="c">
    <test name="Ns.C.A" type="Ns.C" method="A" time="0.25" result="Pass"><traits><trait name="Category" value="fast"/></traits></test>
    <test name="Ns.C.B" type="Ns.C" method="B" time="0" result="Fail"><failure exception-type="X"><message>no</message><stack-trace>at</stack-trace></failure></test>
    <test name="Ns.C.S" type="Ns.C" method="S" time="0" result="Skip"><reason>later</reason></test>
  </collection></assembly></assemblies>"#,
    );
    assert_eq!(
        cases(&read),
        [
            "Tests.dll::fixture (error outside of the tests) error",
            "Ns.C::A passed",
            "Ns.C::B failed",
            "Ns.C::S skipped"
        ]
    );
    assert_eq!(read.cases[2].failure.as_ref().unwrap().kind.as_deref(), Some("X"));
    assert_eq!(read.cases[1].properties, [("Category".to_owned(), "fast".to_owned())]);
}

#[test]
fn nunit_three_and_two_are_read() {
    let three = read(
        r#"<test-run total="3" failed="1"><test-suite type="Assembly" name="T.dll"><test-suite type="TestFixture" name="F" fullname="Ns.F">
    <test-case name="A" fullname="Ns.F.A" classname="Ns.F" result="Passed" duration="0.1"><output>hi</output></test-case>
    <test-case name="B" fullname="Ns.F.B" result="Failed" label="Error"><failure><message>no</message><stack-trace>at</stack-trace></failure></test-case>
    <test-case name="C" fullname="Ns.F.C" result="Skipped" label="Ignored"><reason><message>later</message></reason></test-case>
  </test-suite></test-suite></test-run>"#,
    );
    assert_eq!(cases(&three), ["Ns.F::A passed", "Ns.F::B error", "Ns.F::C skipped"]);
    assert_eq!(three.cases[2].failure.as_ref().unwrap().message.as_deref(), Some("later"));
    let two = read(
        r#"<test-results name="T.dll" total="2"><test-suite name="T.dll"><results><test-suite name="F"><results>
    <test-case name="Ns.F.A" executed="True" success="True" time="0.5"/>
    <test-case name="Ns.F.B" executed="False"><reason><message>later</message></reason></test-case>
  </results></test-suite></results></test-suite></test-results>"#,
    );
    assert_eq!(counts(&two), [1, 0, 1, 0, 0]);
}

#[test]
fn ctests_test_xml_is_read_and_its_compressed_output_unpacked() {
    let read = read(
        r#"<Site BuildName="gcc" Name="host" Hostname="ci-7"><Testing><StartTestTime>1767323045</StartTestTime>
  <TestList><Test>./a</Test></TestList>
  <Test Status="passed"><Name>a</Name><Path>.</Path><Results><NamedMeasurement type="numeric/double" name="Execution Time"><Value>0.25</Value></NamedMeasurement><Measurement><Value>plain</Value></Measurement></Results></Test>
  <Test Status="failed"><Name>b</Name><Results><NamedMeasurement type="text/string" name="Exit Code"><Value>SEGFAULT</Value></NamedMeasurement><Measurement><Value encoding="base64" compression="gzip">eJzLSM3JyQcABiwCFQ==</Value></Measurement></Results></Test>
  <Test Status="notrun"><Name>c</Name></Test>
  <Test Status="notrun"><Name>d</Name><Results><NamedMeasurement type="text/string" name="Completion Status"><Value>Disabled</Value></NamedMeasurement></Results></Test>
</Testing></Site>"#,
    );
    assert_eq!(cases(&read), ["gcc::a passed", "gcc::b error", "gcc::c error", "gcc::d skipped"]);
    assert_eq!((read.cases[0].micros, read.cases[0].stdout.as_str()), (Some(250_000), "plain"));
    assert_eq!(read.cases[1].stdout, "hello");
    assert_eq!(read.suites[0].started.unwrap().to_rfc3339_utc(), "2026-01-02T03:04:05Z");
}

#[test]
fn a_text_full_of_ampersands_is_read_in_one_go() {
    let name = "&".repeat(1 << 20);
    let read = read(&format!("<testsuite name='s'><testcase name='{name}'/></testsuite>"));
    // Names beyond the limit are truncated, with a note.
    assert_eq!(read.cases[0].name.len(), devmason_domain::limits::NAME);
    assert!(read.notes.iter().any(|note| note.kind == devmason_reports::NoteKind::Cut));
}

#[test]
fn a_compressed_output_is_unpacked_only_so_far() {
    use std::io::Write;
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..20 {
        packed.write_all(&vec![b'a'; 1 << 20]).unwrap();
    }
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(packed.finish().unwrap());
    let read = read(&format!(
        "<Site><Testing><Test Status='failed'><Name>t</Name><Results><Measurement><Value encoding='base64' compression='gzip'>{text}</Value></Measurement></Results></Test></Testing></Site>"
    ));
    assert_eq!(read.cases[0].stdout.len(), 8 << 20);
    assert_eq!(notes(&read), ["1 cut: output truncated: too long"]);
}

#[test]
fn many_notes_are_counted_and_the_first_are_kept() {
    let cases: String = (0..1500).map(|n| format!("<testcase name='t{n}' time='soon'/>")).collect();
    let read = read(&format!("<testsuite name='s'>{cases}</testsuite>"));
    assert_eq!((read.notes.len(), read.notes_total), (Read::NOTES, 1500));
}
