#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

/// As Python 2.7's xmlrpclib writes it.
const ADD: &str = "<?xml version='1.0'?>\n<methodCall>\n<methodName>add_results</methodName>\n<params>\n<param>\n<value><struct>\n\
<member>\n<name>package</name>\n<value><string>pony</string></value>\n</member>\n\
<member>\n<name>success</name>\n<value><boolean>0</boolean></value>\n</member>\n\
<member>\n<name>tags</name>\n<value><array><data>\n<value><string>a;b</string></value>\n</data></array></value>\n</member>\n\
<member>\n<name>host</name>\n<value><string>lab</string></value>\n</member>\n\
<member>\n<name>arch</name>\n<value><string>x86</string></value>\n</member>\n\
<member>\n<name>duration</name>\n<value><double>3.5</double></value>\n</member>\n</struct></value>\n</param>\n\
<param>\n<value><array><data>\n<value><struct>\n\
<member><name>status</name><value><int>0</int></value></member>\n\
<member><name>name</name><value><string>checkout</string></value></member>\n\
<member><name>duration</name><value><double>1.0</double></value></member>\n\
<member><name>clone</name><value><struct><member><name>url</name><value>git://x</value></member></struct></value></member>\n\
<member><name>output</name><value><string>red \u{1b}[31m &lt;&amp;&gt;</string></value></member>\n</struct></value>\n\
<value><struct>\n<member><name>status</name><value><int>2</int></value></member>\n\
<member><name>type</name><value><string>test</string></value></member>\n\
<member><name>out</name><value><string>boom</string></value></member>\n</struct></value>\n\
</data></array></value>\n</param>\n</params>\n</methodCall>\n";

#[test]
fn results_are_a_build_with_its_steps() {
    let received = Timestamp::now();
    let Call::Add(build) = read(ADD.as_bytes(), received).unwrap() else { unreachable!() };
    assert_eq!((build.client.package.as_str(), build.success), ("pony", false));
    assert_eq!(build.part.tags[0].as_str(), "a_b");
    assert!(build.part.client.contains(&("host".to_owned(), "lab".to_owned())));
    let steps: Vec<_> = build.parts.into_iter().map(|part| part.step.unwrap()).collect();
    assert_eq!(received.micros() - steps[0].started.micros(), 3_500_000);
    assert_eq!((steps[0].name.as_str(), steps[0].success), ("checkout", true));
    assert_eq!(steps[0].output, "red \u{1b}[31m <&>");
    assert_eq!(steps[0].extras.member_text("status").as_deref(), Some("0"));
    assert!(steps[0].extras.as_str().contains(r#""clone":{"url":"git://x"}"#));
    assert_eq!((steps[1].name.as_str(), steps[1].success), ("test", false));
    assert_eq!(steps[1].output, "boom");
}

#[test]
fn bytes_that_are_no_text_are_replaced_and_noted() {
    let body = [
        ADD.as_bytes().split_at(ADD.find("boom").unwrap()).0,
        b"\xe4\x00",
        &ADD.as_bytes()[ADD.find("boom").unwrap()..],
    ]
    .concat();
    let Call::Add(build) = read(&body, Timestamp::now()).unwrap() else { unreachable!() };
    assert_eq!(build.parts[1].step.as_ref().unwrap().output, "\u{fffd}\0boom");
    assert_eq!(build.part.receipt.notes.last().unwrap().kind, "odd");
}

#[test]
fn other_calls_are_told_apart() {
    let call = |method: &str, argument: &str| {
        let text = format!(
            "<methodCall><methodName>{method}</methodName><params><param><value>{argument}</value></param></params></methodCall>"
        );
        read(text.as_bytes(), Timestamp::now())
    };
    let info = "<struct><member><name>package</name><value>p</value></member><member><name>tags</name><value><nil/></value></member></struct>";
    let Call::Check(client) = call("check_should_build", info).unwrap() else { unreachable!() };
    assert_eq!((client.package.as_str(), client.tags.len()), ("p", 0));
    assert_eq!(
        call("get_results", "<int>1</int>").unwrap(),
        Call::Unknown("get_results".to_owned())
    );
    assert!(call("add_results", info).unwrap_err().to_string().contains("results"));
    assert!(
        call("check_should_build", "<struct></struct>")
            .unwrap_err()
            .to_string()
            .contains("package")
    );
    assert!(read(b"<methodCall></methodCall>", Timestamp::now()).is_err());
}

#[test]
fn a_response_is_read_as_it_was_written() {
    let value = Value::Array(vec![
        Value::Text("a<&".to_owned()),
        Value::Bool(true),
        Value::Int(-3),
        Value::Nil,
    ]);
    let text = response(&value).replace("methodResponse>", "methodCall>");
    let call = text.replace("<params>", "<methodName>m</methodName><params>");
    assert_eq!(rpc::call(&call).unwrap(), ("m".to_owned(), vec![value]));
    assert!(fault(4, "no <tag>").contains("<string>no &lt;tag&gt;</string>"));
}
