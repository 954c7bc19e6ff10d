//! A query selects the same rows, in the same order, as its evaluation in memory.

use std::cmp::Ordering;

use devmason_domain::query::{
    BUILDS, COMPONENTS, Comparison, Filter, Key, STEPS, SortKey, Table, Value, parse_query,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

/// Text that is likely to break SQL, patterns and collations.
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

/// A condition on text, in query syntax.
fn text_condition(fields: &'static [&'static str]) -> impl Strategy<Value = String> {
    let field = proptest::sample::select(fields);
    let operator = prop_oneof!["eq", "ne", "lt", "le", "gt", "ge", "like", "ilike"];
    let value = prop_oneof![
        text(),
        Just("1.50".to_owned()),
        Just("a".to_owned()),
        Just("%a%".to_owned()),
        Just("_".to_owned()),
    ];
    (operator, field, value).prop_map(|(operator, field, value)| {
        // A pattern must not end in a single backslash.
        let value = if operator.ends_with("like") { value.replace('\\', "\\\\") } else { value };
        format!("{operator}({field},{})", quoted(&value))
    })
}

fn null_condition(fields: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(fields).prop_map(|field| format!("null({field})"))
}

/// A condition on a field of another type.
fn typed_condition() -> impl Strategy<Value = String> {
    let operator = || prop_oneof!["eq", "ne", "lt", "le", "gt", "ge"];
    let field = prop_oneof!["started", "finished"];
    prop_oneof![
        (operator(), field, moment())
            .prop_map(|(operator, field, at)| format!("{operator}({field},{at})")),
        (operator(), prop_oneof!["steps", "failed_steps"], 0..4)
            .prop_map(|(operator, field, n)| format!("{operator}({field},{n})")),
        (operator(), any::<bool>())
            .prop_map(|(operator, value)| format!("{operator}(success,{value})")),
        (prop_oneof!["contains", "not_contains"], tag())
            .prop_map(|(operator, tag)| format!("{operator}(tags,{})", quoted(&tag))),
        (operator(), prop_oneof!["running", "finished"])
            .prop_map(|(operator, state)| format!("{operator}(state,{state})")),
    ]
}

fn nested(leaf: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    leaf.prop_recursive(3, 12, 3, |inner| {
        (prop_oneof!["and", "or", "not"], proptest::collection::vec(inner, 1..4)).prop_map(
            |(operator, inner)| match operator.as_str() {
                "not" => format!("not({})", inner[0]),
                _ => format!("{operator}({})", inner.join(",")),
            },
        )
    })
}

fn sort(fields: &'static [&'static str]) -> impl Strategy<Value = String> {
    let key = (prop_oneof!["", "-"], proptest::sample::select(fields))
        .prop_map(|(minus, field)| format!("{minus}{field}"));
    proptest::collection::vec(key, 0..3).prop_map(|keys| keys.join(","))
}

/// One of a few instants, in one of a few offsets.
fn moment() -> impl Strategy<Value = String> {
    (0..4, prop_oneof!["\\+00:00", "\\+05:30", "-08:00"])
        .prop_map(|(day, offset)| format!("2026-01-0{}T12:00:00.00000{}{offset}", day + 1, day))
}

fn tag() -> impl Strategy<Value = String> {
    prop_oneof!["a", "B", "%", "_", "'", "\\\\", "\u{e9}"]
}

/// An object that queries select.
trait Row {
    fn field(&self, key: &Key) -> Option<Value>;
    fn has(&self, key: &Key, value: &str) -> bool;
    /// The tie-breaker between rows of equal sort order.
    fn place(&self) -> (i64, Uuid);
}

impl Row for Component {
    fn field(&self, key: &Key) -> Option<Value> {
        let text = match key.field {
            "name" => self.name.to_string(),
            "title" => self.details.title.as_ref()?.to_string(),
            "data" => JsonObject::from_stored(self.details.data.clone()?)
                .member_text(key.member.as_deref()?)?,
            other => panic!("{other}"),
        };
        Some(Value::Text(text))
    }
    fn has(&self, key: &Key, _: &str) -> bool {
        panic!("{}", key.field)
    }
    fn place(&self) -> (i64, Uuid) {
        (self.created_at.micros(), self.id)
    }
}

impl Row for Build {
    fn field(&self, key: &Key) -> Option<Value> {
        let ended = match self.outcome {
            Outcome::Running => None,
            Outcome::Finished { success, finished } => Some((success, finished)),
        };
        Some(match key.field {
            "state" => Value::Text(self.outcome.state().as_str().to_owned()),
            "success" => Value::Boolean(ended?.0),
            "started" => Value::Datetime(self.started),
            "finished" => Value::Datetime(ended?.1),
            "steps" => Value::Number(self.steps.into()),
            "failed_steps" => Value::Number(self.failed_steps.into()),
            "client" => Value::Text(self.client.0.member_text(key.member.as_deref()?)?),
            other => panic!("{other}"),
        })
    }
    fn has(&self, key: &Key, value: &str) -> bool {
        assert_eq!(key.field, "tags");
        self.tags.iter().any(|tag| tag.as_str() == value)
    }
    fn place(&self) -> (i64, Uuid) {
        (self.received.micros(), self.id.0)
    }
}

/// Whether text matches a pattern: `%` is any text, `_` any character, `\` escapes the next one.
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

/// The order of values of one kind: text by its bytes, instants regardless of offset.
fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => a.cmp(b),
        (Value::Datetime(a), Value::Datetime(b)) => a.micros().cmp(&b.micros()),
        other => panic!("{other:?}"),
    }
}

/// SQL's three-valued logic: a comparison with null is neither true nor false.
fn holds(filter: &Filter, row: &dyn Row) -> Option<bool> {
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
        Filter::Null(key) => Some(row.field(key).is_none()),
        Filter::Has(key, value) => Some(row.has(key, value)),
        Filter::Compare(key, comparison, value) => {
            let field = row.field(key)?;
            let is_like = |fold: fn(&str) -> String| {
                let (Value::Text(text), Value::Text(pattern)) = (&field, value) else { panic!() };
                let chars = |text: &str| fold(text).chars().collect::<Vec<_>>();
                like(&chars(text), &chars(pattern))
            };
            Some(match comparison {
                Comparison::Equal => order(&field, value) == Ordering::Equal,
                Comparison::NotEqual => order(&field, value) != Ordering::Equal,
                Comparison::Less => order(&field, value) == Ordering::Less,
                Comparison::LessOrEqual => order(&field, value) != Ordering::Greater,
                Comparison::Greater => order(&field, value) == Ordering::Greater,
                Comparison::GreaterOrEqual => order(&field, value) != Ordering::Less,
                Comparison::Like => is_like(str::to_owned),
                Comparison::LikeIgnoringCase => is_like(str::to_ascii_lowercase),
            })
        }
    }
}

fn before(a: &dyn Row, b: &dyn Row, sort: &[SortKey]) -> Ordering {
    let by = |key: &SortKey| match (a.field(&key.key), b.field(&key.key)) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) if key.descending => order(&b, &a),
        (Some(a), Some(b)) => order(&a, &b),
    };
    let keys = sort.iter().map(by).find(|order| order.is_ne());
    keys.unwrap_or_else(|| a.place().cmp(&b.place()))
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

/// Runs random queries and compares the results with a plain evaluation over all rows.
fn selects_as_memory_does<T: Row + PartialEq + std::fmt::Debug>(
    table: &Table,
    rows: &[T],
    query: impl Strategy<Value = String>,
    sort: impl Strategy<Value = String>,
    select: impl Fn(&Listing) -> Listed<T>,
) {
    assert!(rows.len() > 20);
    runner(400)
        .run(&(query, sort), |(query, sort)| {
            let filter = parse_query(table, &query).unwrap();
            let sort = parse_sort(table, &sort).unwrap();
            let mut expected: Vec<&T> =
                rows.iter().filter(|row| holds(&filter, *row) == Some(true)).collect();
            expected.sort_by(|a, b| before(*a, *b, &sort));
            let listing = Listing { selection: Selection { filter, sort }, offset: 0, limit: 1000 };
            let found = select(&listing);
            prop_assert_eq!(found.count, expected.len() as u64, "{}", query);
            prop_assert_eq!(found.items.iter().collect::<Vec<_>>(), expected, "{}", query);
            Ok(())
        })
        .unwrap();
}

fn components(backend: Backend) {
    let store = Store::new(backend);
    let kind = NewComponentType {
        id: Uuid::now_v7(),
        name: "t".parse().unwrap(),
        creator: Actor::Nobody,
        claim: None,
    };
    assert!(matches!(store.component_type_create(&kind).unwrap(), Created::New(_)));
    let rows = std::cell::RefCell::new(Vec::new());
    runner(60)
        .run(&(text(), proptest::option::of(text()), data()), |(name, title, data)| {
            let title = title.map(|title| title.parse().unwrap());
            let details = ComponentDetails { title, data, ..ComponentDetails::default() };
            let new = NewComponent {
                id: Uuid::now_v7(),
                name: name.parse().unwrap(),
                component_type: Named::Id(kind.id),
                details,
                creator: Actor::Nobody,
                claim: None,
            };
            if let Created::New(component) = store.component_create(&new).unwrap() {
                rows.borrow_mut().push(component);
            }
            Ok(())
        })
        .unwrap();
    const FIELDS: &[&str] = &["name", "title", "data.k"];
    let condition = prop_oneof![4 => text_condition(FIELDS), 1 => null_condition(FIELDS)];
    let select = |listing: &Listing| store.component_list(None, listing).unwrap();
    selects_as_memory_does(
        &COMPONENTS,
        &rows.into_inner(),
        nested(condition),
        sort(FIELDS),
        select,
    );
}

#[test]
fn sqlite_selects_the_components_that_a_plain_evaluation_selects() {
    components(Backend::Sqlite);
}

#[test]
fn postgres_selects_the_components_that_a_plain_evaluation_selects() {
    components(Backend::Postgres);
}

/// Builds of one project whose fields have few distinct values, so that each query matches some.
fn builds(backend: Backend) {
    let store = Store::new(backend);
    let project = store.project("p");
    let long = |text: &str| text.repeat(60);
    let host = prop_oneof![
        Just(None),
        text().prop_map(Some),
        // Likely to share the whole prefix that the index keeps.
        text().prop_map(move |text| Some(long(&text))),
    ];
    let step_results = proptest::collection::vec(any::<bool>(), 0..4);
    let ended = proptest::option::of((any::<bool>(), moment()));
    let tags = proptest::collection::vec(tag(), 0..3);
    runner(80)
        .run(
            &(moment(), ended, tags, host, step_results),
            |(started, ended, words, host, steps)| {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let mut new = build(&project, &started, &words);
                new.report.outcome = match ended {
                    None => Outcome::Running,
                    Some((success, at_)) => Outcome::Finished { success, finished: at(&at_) },
                };
                let step_of = |success: &bool| step("s", *success);
                new.report.steps = steps.iter().map(step_of).collect();
                if let Some(host) = host {
                    let host = serde_json::to_string(&host).unwrap();
                    new.report.client = ClientRecord(JsonObject::from_stored(format!(
                        r#"{{"host":{host},"n":1.50}}"#
                    )));
                }
                assert_eq!(store.record(new), Recorded::New);
                Ok(())
            },
        )
        .unwrap();
    let scope = Scope::Project(project.id);
    let everything =
        BuildQuery { scope, selection: Selection::default(), start: Start::Offset(0), limit: 1000 };
    let rows = store.build_list(&everything).unwrap().builds;
    const TEXT: &[&str] = &["client.host", "client.n", "client.none"];
    const ALL: &[&str] = &["client.host", "state", "success", "started", "finished", "steps"];
    let condition =
        prop_oneof![3 => text_condition(TEXT), 4 => typed_condition(), 1 => null_condition(ALL)];
    let select = |listing: &Listing| {
        let found = store.build_query(None, listing).unwrap();
        // The same query within project selects the same builds.
        let query = BuildQuery { selection: listing.selection.clone(), ..everything.clone() };
        let mut within: Vec<_> =
            store.build_list(&query).unwrap().builds.iter().map(|build| build.id).collect();
        let mut over_all: Vec<_> = found.items.iter().map(|build| build.id).collect();
        within.sort_unstable();
        over_all.sort_unstable();
        assert_eq!(within, over_all);
        let exact = Count { builds: found.count, exact: true };
        assert_eq!(store.build_count(&query.scope, &query.selection).unwrap(), exact);
        found
    };
    selects_as_memory_does(&BUILDS, &rows, nested(condition), sort(ALL), select);
}

#[test]
fn sqlite_selects_the_builds_that_a_plain_evaluation_selects() {
    builds(Backend::Sqlite);
}

#[test]
fn postgres_selects_the_builds_that_a_plain_evaluation_selects() {
    builds(Backend::Postgres);
}

/// A query that reads more than is possible in a millisecond.
fn takes_too_long(backend: Backend) {
    let store = Store::new(backend);
    let project = store.project("p");
    for _ in 0..20 {
        let batch: Vec<_> =
            (0..50).map(|_| build(&project, "2026-01-01T00:00:00Z", &["a"])).collect();
        store.build_record_many(&batch).unwrap();
    }
    let hurried =
        Options { query_timeout: std::time::Duration::from_millis(1), ..Options::default() };
    let hurried = open(&store.database.url, &hurried).unwrap();
    let term = "ilike(client.x,%a%b%)";
    let filter = parse_query(&BUILDS, &format!("or({})", [term; 99].join(","))).unwrap();
    let selection = Selection { filter, sort: Vec::new() };
    let scope = Scope::Project(project.id);
    let refused = hurried.build_count(&scope, &selection).unwrap_err();
    assert!(matches!(refused, Error::TooLong(_)), "{refused:?}");
    assert_eq!(store.build_count(&scope, &selection).unwrap(), Count { builds: 0, exact: true });
    // Where a project is the first to be looked at, its steps are timed all the same.
    let term = "ilike(name,%a%b%)";
    let query = format!("and(eq(project,p),or({}))", [term; 97].join(","));
    let filter = parse_query(&STEPS, &query).unwrap();
    let listing =
        Listing { selection: Selection { filter, sort: Vec::new() }, offset: 0, limit: 9 };
    let refused = hurried.step_query(&listing).unwrap_err();
    assert!(matches!(refused, Error::TooLong(_)), "{refused:?}");
    assert_eq!(store.step_query(&listing).unwrap().count, 0);
}

#[test]
fn sqlite_ends_a_query_that_takes_too_long() {
    takes_too_long(Backend::Sqlite);
}

#[test]
fn postgres_ends_a_query_that_takes_too_long() {
    takes_too_long(Backend::Postgres);
}
