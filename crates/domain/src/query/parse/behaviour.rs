//! Tests.

#![expect(clippy::unwrap_used, reason = "tests")]
use super::super::BUILDS;
use super::*;
use proptest::prelude::*;

fn key(field: &'static str, kind: Kind) -> Key {
    Key { field, kind, member: None }
}

fn equal(key: Key, value: Value) -> Filter {
    Filter::Compare(key, Comparison::Equal, value)
}

fn success(value: bool) -> Filter {
    equal(key("success", Kind::Boolean), Value::Boolean(value))
}

#[test]
fn a_condition_is_typed_by_its_field() {
    let host = Key { field: "client", kind: Kind::Text, member: Some("host".into()) };
    assert_eq!(
        parse_where(&BUILDS, "success:false,client.host:ci-7,finished:,steps:5,tags:x").unwrap(),
        Filter::All(vec![
            success(false),
            equal(host, Value::Text("ci-7".into())),
            Filter::Null(key("finished", Kind::Datetime)),
            equal(key("steps", Kind::Number), Value::Number(5)),
            Filter::Has(key("tags", Kind::Set), "x".into()),
        ])
    );
}

#[test]
fn a_value_may_hold_colons_and_in_quotes_commas() {
    let Filter::All(parsed) =
        parse_where(&BUILDS, "\"client.note:a,b: \"\"c\"\"\",started:2026-01-01T00:00:00Z")
            .unwrap()
    else {
        unreachable!()
    };
    assert!(matches!(&parsed[0], Filter::Compare(_, _, Value::Text(text)) if text == "a,b: \"c\""));
    assert!(matches!(&parsed[1], Filter::Compare(_, _, Value::Datetime(_))));
}

#[test]
fn a_condition_or_a_key_that_says_nothing_is_refused() {
    for text in [",", "\"\"", ",,", "success:true,", ",success:true", "success:true,,steps:5"] {
        assert!(parse_where(&BUILDS, text).is_err(), "{text}");
    }
    for text in [",", "-", "started,", ",started"] {
        assert!(parse_sort(&BUILDS, text).is_err(), "{text}");
    }
    assert_eq!(parse_where(&BUILDS, "").unwrap(), Filter::All(Vec::new()));
    assert!(parse_sort(&BUILDS, "").unwrap().is_empty());
}

#[test]
fn a_query_is_an_expression_of_expressions() {
    assert_eq!(
        parse_query(
            &BUILDS,
            " and( eq(success, false) ,or(null(finished),not(eq(steps,5))), not_contains(tags,a b))"
        )
        .unwrap(),
        Filter::All(vec![
            success(false),
            Filter::Any(vec![
                Filter::Null(key("finished", Kind::Datetime)),
                Filter::Not(Box::new(Filter::All(vec![equal(
                    key("steps", Kind::Number),
                    Value::Number(5)
                )]))),
            ]),
            Filter::Not(Box::new(Filter::Has(key("tags", Kind::Set), "a b".into()))),
        ])
    );
    let Filter::Compare(_, Comparison::Like, Value::Text(text)) =
        parse_query(&BUILDS, "like(client.note,\"a,(\"\"b\"\")%\")").unwrap()
    else {
        unreachable!()
    };
    assert_eq!(text, "a,(\"b\")%");
}

#[test]
fn what_is_no_query_is_refused() {
    for text in [
        "",
        "eq",
        "eq(success,true",
        "eq(success)",
        "eq(success,true))",
        "eq(success,true) x",
        "eq(success,true),eq(success,true)",
        "xx(success,true)",
        "not(eq(success,true),eq(success,true))",
        "and()",
        "contains(success,true)",
        "eq(tags,x)",
        "like(steps,5)",
        "like(key,a\\)",
        "eq(steps,many)",
        "eq(colour,red)",
        "eq(key,\"a)",
        "null(success,true)",
    ] {
        assert!(parse_query(&BUILDS, text).is_err(), "{text}");
    }
    let deep = format!("{}eq(success,true){}", "not(".repeat(5000), ")".repeat(5000));
    assert!(parse_query(&BUILDS, &deep[..7999]).is_err());
    let wide = format!("or({})", vec!["null(key)"; 101].join(","));
    assert!(parse_query(&BUILDS, &wide).is_err());
}

#[test]
fn a_field_sorts_once() {
    let sort = parse_sort(&BUILDS, "success,-started,-success,success").unwrap();
    assert_eq!(
        sort.iter().map(|key| (key.key.field, key.descending)).collect::<Vec<_>>(),
        [("success", false), ("started", true)]
    );
}

#[test]
fn an_unknown_key_is_answered_with_the_valid_ones() {
    let error = parse_sort(&BUILDS, "-x").unwrap_err();
    assert_eq!(error.to_string(), "Invalid sort key: 'x'");
    assert!(
        matches!(error, QueryError::UnknownKey { valid, .. } if valid.contains(&"started".to_owned()))
    );
    assert!(parse_where(&BUILDS, "x:1").is_err());
    assert!(parse_sort(&BUILDS, "tags").is_err());
}

#[test]
fn values_of_the_wrong_kind_are_refused() {
    for text in [
        "success:maybe",
        "steps:many",
        "started:soon",
        "success",
        "\"success:true",
        "key:a\0",
        "id:7",
    ] {
        assert!(parse_where(&BUILDS, text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-z_(),\"\\\\: .%-]{0,80}|\\PC{0,80}") {
        let _ = (parse_where(&BUILDS, &text), parse_sort(&BUILDS, &text), parse_query(&BUILDS, &text));
    }
}
