//! A query selects the same rows, in the same order, as its plain evaluation in memory does.

use std::cmp::Ordering;

use devmason_domain::query::{COMPONENTS, Comparison, Filter, Key, SortKey, Value, parse_query};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

/// Text in which everything that SQL, patterns and collations could trip over is likely.
fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            "a",
            "B",
            "b",
            "%",
            "_",
            "\\\\",
            "'",
            "\"",
            "é",
            "É",
            "ß",
            " ",
            "z",
            ",",
            "\u{1F600}"
        ],
        1..4,
    )
    .prop_map(|parts| parts.concat())
    .prop_filter("a name is not blank", |text| !text.trim().is_empty())
}

fn data() -> impl Strategy<Value = Option<String>> {
    let member = prop_oneof![
        Just("\"a\"".to_owned()),
        Just("1.50".to_owned()),
        Just("null".to_owned()),
        Just("{\"x\":1}".to_owned())
    ];
    prop_oneof![
        Just(None),
        Just(Some("[1]".to_owned())),
        Just(Some("\"a\"".to_owned())),
        Just(Some("1e999".to_owned())),
        member.prop_map(|value| Some(format!("{{\"k\":{value}}}"))),
    ]
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A query in the language itself.
fn query() -> impl Strategy<Value = String> {
    let field = prop_oneof!["name", "title", "data\\.k"];
    let operator = prop_oneof!["eq", "ne", "lt", "le", "gt", "ge", "like", "ilike"];
    let value = prop_oneof![
        text(),
        Just("1.50".to_owned()),
        Just("a".to_owned()),
        Just("%a%".to_owned()),
        Just("_".to_owned())
    ];
    let leaf = prop_oneof![
        4 => (operator, field.clone(), value).prop_map(|(operator, field, value)| {
            // A pattern may not end in a single backslash.
            let value = if operator.ends_with("like") { value.replace('\\', "\\\\") } else { value };
            format!("{operator}({field},{})", quoted(&value))
        }),
        1 => field.prop_map(|field| format!("null({field})")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        (prop_oneof!["and", "or", "not"], proptest::collection::vec(inner, 1..4)).prop_map(
            |(operator, inner)| match operator.as_str() {
                "not" => format!("not({})", inner[0]),
                _ => format!("{operator}({})", inner.join(",")),
            },
        )
    })
}

fn sort() -> impl Strategy<Value = String> {
    let key = (prop_oneof!["", "-"], prop_oneof!["name", "title", "data\\.k"])
        .prop_map(|(minus, field)| format!("{minus}{field}"));
    proptest::collection::vec(key, 0..3).prop_map(|keys| keys.join(","))
}

fn field(row: &Component, key: &Key) -> Option<String> {
    match key.field {
        "name" => Some(row.name.to_string()),
        "title" => row.details.title.as_ref().map(|title| title.to_string()),
        "data" => {
            JsonObject::from_stored(row.details.data.clone()?).member_text(key.member.as_deref()?)
        }
        other => panic!("{other}"),
    }
}

/// Whether text is like a pattern: `%` any text, `_` any character, `\` the next one as it is.
fn like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|skipped| like(&text[skipped..], rest)),
        ['_', rest @ ..] => !text.is_empty() && like(&text[1..], rest),
        ['\\', one, rest @ ..] | [one, rest @ ..] => {
            text.first() == Some(one) && like(&text[1..], rest)
        }
    }
}

/// SQL's logic of three values: what compares with null is neither.
fn holds(filter: &Filter, row: &Component) -> Option<bool> {
    match filter {
        Filter::All(filters) => {
            let all: Vec<_> = filters.iter().map(|filter| holds(filter, row)).collect();
            if all.contains(&Some(false)) {
                Some(false)
            } else if all.contains(&None) {
                None
            } else {
                Some(true)
            }
        }
        Filter::Any(filters) => {
            let all: Vec<_> = filters.iter().map(|filter| holds(filter, row)).collect();
            if all.contains(&Some(true)) {
                Some(true)
            } else if all.contains(&None) {
                None
            } else {
                Some(false)
            }
        }
        Filter::Not(filter) => holds(filter, row).map(|held| !held),
        Filter::Null(key) => Some(field(row, key).is_none()),
        Filter::Has(..) => panic!("components have no sets"),
        Filter::Compare(key, comparison, Value::Text(value)) => {
            let text = field(row, key)?;
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let order = text.as_bytes().cmp(value.as_bytes());
            Some(match comparison {
                Comparison::Equal => order == Ordering::Equal,
                Comparison::NotEqual => order != Ordering::Equal,
                Comparison::Less => order == Ordering::Less,
                Comparison::LessOrEqual => order != Ordering::Greater,
                Comparison::Greater => order == Ordering::Greater,
                Comparison::GreaterOrEqual => order != Ordering::Less,
                Comparison::Like => like(&chars(&text), &chars(value)),
                Comparison::LikeIgnoringCase => {
                    like(&chars(&text.to_ascii_lowercase()), &chars(&value.to_ascii_lowercase()))
                }
            })
        }
        Filter::Compare(..) => panic!("all of these are text"),
    }
}

fn before(a: &Component, b: &Component, sort: &[SortKey]) -> Ordering {
    let by = |key: &SortKey| match (field(a, &key.key), field(b, &key.key)) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) if key.descending => b.as_bytes().cmp(a.as_bytes()),
        (Some(a), Some(b)) => a.as_bytes().cmp(b.as_bytes()),
    };
    let keys = sort.iter().map(by).find(|order| order.is_ne());
    keys.unwrap_or_else(|| (a.created_at.micros(), a.id).cmp(&(b.created_at.micros(), b.id)))
}

fn selects_as_memory_does(backend: Backend) {
    let store = Store::new(backend);
    let Created::New(kind) =
        store.component_type_create(&"t".parse().unwrap(), &Actor::Nobody).unwrap()
    else {
        panic!()
    };
    let mut runner =
        TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let rows = std::cell::RefCell::new(Vec::new());
    runner
        .run(&(text(), proptest::option::of(text()), data()), |(name, title, data)| {
            let title = title.map(|title| title.parse().unwrap());
            let details = ComponentDetails { title, data, ..ComponentDetails::default() };
            let new = NewComponent {
                name: name.parse().unwrap(),
                component_type: Named::Id(kind.id),
                details,
                creator: Actor::Nobody,
            };
            if let Created::New(component) = store.component_create(&new).unwrap() {
                rows.borrow_mut().push(component);
            }
            Ok(())
        })
        .unwrap();
    let rows = rows.into_inner();
    assert!(rows.len() > 20);

    let mut runner =
        TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
    runner
        .run(&(query(), sort()), |(query, sort)| {
            let filter = parse_query(&COMPONENTS, &query).unwrap();
            let sort = parse_sort(&COMPONENTS, &sort).unwrap();
            let mut expected: Vec<&Component> =
                rows.iter().filter(|row| holds(&filter, row) == Some(true)).collect();
            expected.sort_by(|a, b| before(a, b, &sort));
            let listing = Listing { selection: Selection { filter, sort }, offset: 0, limit: 1000 };
            let found = store.component_list(None, &listing).unwrap();
            prop_assert_eq!(found.count, expected.len() as u64, "{}", query);
            prop_assert_eq!(found.items.iter().collect::<Vec<_>>(), expected, "{}", query);
            Ok(())
        })
        .unwrap();
}

#[test]
fn sqlite_selects_what_a_plain_evaluation_selects() {
    selects_as_memory_does(Backend::Sqlite);
}

#[test]
fn postgres_selects_what_a_plain_evaluation_selects() {
    selects_as_memory_does(Backend::Postgres);
}
