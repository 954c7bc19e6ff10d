//! Parsing of `where`, `sort` and `query`.

use uuid::Uuid;

use super::{Comparison, Filter, Key, Kind, QueryError, SortKey, Table, Value};
use crate::{Invalid, limits};

/// Maximum number of conditions or sort keys in a request.
const MAX_TERMS: usize = 100;

/// Maximum nesting depth of a query.
const MAX_DEPTH: usize = 32;

/// Maximum length of a value or of a whole parameter, in bytes: somewhat more than databases accept
/// as a pattern.
const MAX_LENGTH: usize = 8_000;

fn malformed(parameter: &'static str, problem: impl Into<String>) -> QueryError {
    QueryError::Malformed { parameter, problem: problem.into() }
}

fn bounded(parameter: &'static str, text: &str) -> Result<(), QueryError> {
    if text.len() > MAX_LENGTH {
        return Err(malformed(parameter, format!("longer than {MAX_LENGTH} bytes")));
    }
    if text.contains('\0') {
        return Err(malformed(parameter, "may not contain NUL"));
    }
    Ok(())
}

/// Parses a value of the field's type.
fn value(parameter: &'static str, key: &Key, text: &str) -> Result<Value, QueryError> {
    let wrong = |what: &str| malformed(parameter, format!("{}: '{text}' is not {what}", key.field));
    Ok(match key.kind {
        Kind::Text | Kind::Set => Value::Text(text.to_owned()),
        Kind::Boolean => {
            Value::Boolean(text.to_ascii_lowercase().parse().map_err(|_| wrong("true or false"))?)
        }
        Kind::Number => Value::Number(text.parse().map_err(|_| wrong("a whole number"))?),
        Kind::Uuid => Value::Uuid(Uuid::try_parse(text).map_err(|_| wrong("a UUID"))?),
        Kind::Datetime => {
            Value::Datetime(text.parse().map_err(|error: Invalid| {
                malformed(parameter, format!("{}: {error}", key.field))
            })?)
        }
    })
}

/// Parses `where=f1:v1,f2:v2`; a pair that contains a comma is quoted as in CSV, `"f:a,b"`.
///
/// # Errors
/// An unknown field, a pair without a colon, or a value that isn't of the field's type.
pub fn parse_where(table: &Table, text: &str) -> Result<Filter, QueryError> {
    bounded("where", text)?;
    let pairs = csv(text).map_err(|problem| malformed("where", problem))?;
    if pairs.len() > MAX_TERMS {
        return Err(malformed("where", format!("more than {MAX_TERMS} conditions")));
    }
    let condition = |pair: &String| {
        let Some((name, text)) = pair.split_once(':') else {
            return Err(malformed("where", format!("'{pair}' is not 'field:value'")));
        };
        let key = table.key("where", name)?;
        if text.is_empty() {
            return Ok(Filter::Null(key));
        }
        let value = value("where", &key, text)?;
        Ok(compare(key, Comparison::Equal, value))
    };
    Ok(Filter::All(pairs.iter().map(condition).collect::<Result<_, _>>()?))
}

/// For a set, equality means that it contains the value.
fn compare(key: Key, comparison: Comparison, value: Value) -> Filter {
    match (key.kind, value) {
        (Kind::Set, Value::Text(text)) => Filter::Has(key, text),
        (_, value) => Filter::Compare(key, comparison, value),
    }
}

/// Parses `sort=f1,-f2`.
///
/// # Errors
/// A field that is unknown or cannot be sorted by.
pub fn parse_sort(table: &Table, text: &str) -> Result<Vec<SortKey>, QueryError> {
    bounded("sort", text)?;
    let keys: Vec<&str> = if text.is_empty() { Vec::new() } else { text.split(',').collect() };
    if keys.len() > MAX_TERMS {
        return Err(malformed("sort", format!("more than {MAX_TERMS} keys")));
    }
    let parse = |key: &&str| {
        let name = key.strip_prefix('-').unwrap_or(key);
        if name.is_empty() {
            return Err(malformed("sort", "empty key"));
        }
        Ok(SortKey { key: table.key("sort", name)?, descending: name.len() < key.len() })
    };
    let mut parsed: Vec<SortKey> = Vec::with_capacity(keys.len());
    for key in &keys {
        let key = parse(key)?;
        // Sorting by the same key again has no effect.
        if !parsed.iter().any(|before| before.key == key.key) {
            parsed.push(key);
        }
    }
    Ok(parsed)
}

/// Splits at commas outside double quotes; a quote inside quotes is doubled (RFC 4180).
fn csv(text: &str) -> Result<Vec<String>, &'static str> {
    let mut fields = Vec::new();
    let mut chars = text.chars().peekable();
    let mut is_open = !text.is_empty();
    while is_open {
        let mut field = String::new();
        if chars.next_if_eq(&'"').is_some() {
            loop {
                match chars.next() {
                    Some('"') if chars.next_if_eq(&'"').is_some() => field.push('"'),
                    Some('"') => break,
                    Some(c) => field.push(c),
                    None => return Err("a quote is not closed"),
                }
            }
        } else {
            while let Some(c) = chars.next_if(|c| *c != ',') {
                field.push(c);
            }
        }
        fields.push(field);
        is_open = match chars.next() {
            None => false,
            Some(',') => true,
            Some(_) => return Err("text after a closing quote"),
        };
    }
    Ok(fields)
}

/// Parses `query=and(eq(success,false),ge(started,2026-01-01T00:00:00Z))`.
///
/// A value ends at the next `,` or `)`. A value that contains either is put in double quotes, with
/// quotes inside it doubled. Spaces around words are ignored.
///
/// # Errors
/// Anything other than such an expression, text after its end, more than 32 levels or 100 terms.
pub fn parse_query(table: &Table, text: &str) -> Result<Filter, QueryError> {
    bounded("query", text)?;
    let mut parser = Parser { table, rest: text, terms: 0 };
    let filter = parser.expression(0)?;
    if !parser.rest.trim_start().is_empty() {
        return Err(parser.expected("the end"));
    }
    Ok(filter)
}

struct Parser<'a> {
    table: &'a Table,
    rest: &'a str,
    terms: usize,
}

impl<'a> Parser<'a> {
    fn expected(&self, what: &str) -> QueryError {
        let found: String = self.rest.chars().take(20).collect();
        let found = if found.is_empty() { "the end".to_owned() } else { format!("'{found}'") };
        malformed("query", format!("expected {what}, found {found}"))
    }

    fn take(&mut self, symbol: char) -> bool {
        match self.rest.trim_start().strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn need(&mut self, symbol: char) -> Result<(), QueryError> {
        if self.take(symbol) { Ok(()) } else { Err(self.expected(&format!("'{symbol}'"))) }
    }

    /// The text up to the next `(`, `)` or `,`.
    fn word(&mut self) -> &'a str {
        let end = self.rest.find(['(', ')', ',']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.trim()
    }

    fn value(&mut self) -> Result<String, QueryError> {
        if !self.take('"') {
            let end = self.rest.find([')', ',']).unwrap_or(self.rest.len());
            let (value, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Ok(value.trim().to_owned());
        }
        let mut value = String::new();
        loop {
            let Some(end) = self.rest.find('"') else {
                return Err(malformed("query", "a quote is not closed"));
            };
            value += &self.rest[..end];
            self.rest = &self.rest[end + 1..];
            match self.rest.strip_prefix('"') {
                Some(rest) => {
                    value.push('"');
                    self.rest = rest;
                }
                None => return Ok(value),
            }
        }
    }

    fn expression(&mut self, depth: usize) -> Result<Filter, QueryError> {
        self.terms += 1;
        if depth > MAX_DEPTH || self.terms > MAX_TERMS {
            return Err(malformed(
                "query",
                format!("more than {MAX_DEPTH} levels or {MAX_TERMS} terms"),
            ));
        }
        let before = self.rest;
        let operator = self.word();
        let comparison = match operator {
            "and" | "or" | "not" => return self.combination(operator, depth),
            "null" => {
                self.need('(')?;
                let key = self.key()?;
                self.need(')')?;
                return Ok(Filter::Null(key));
            }
            "eq" | "contains" => Comparison::Equal,
            "ne" | "not_contains" => Comparison::NotEqual,
            "lt" => Comparison::Less,
            "le" => Comparison::LessOrEqual,
            "gt" => Comparison::Greater,
            "ge" => Comparison::GreaterOrEqual,
            "like" => Comparison::Like,
            "ilike" => Comparison::LikeIgnoringCase,
            _ => {
                self.rest = before;
                return Err(self.expected("one of and, or, not, null, eq, ne, lt, le, gt, ge, like, ilike, contains, not_contains"));
            }
        };
        self.need('(')?;
        let key = self.key()?;
        self.need(',')?;
        let text = self.value()?;
        self.need(')')?;
        let is_of_sets = operator.ends_with("contains");
        if is_of_sets != (key.kind == Kind::Set) {
            let fits = if is_of_sets {
                "'contains' works only on lists"
            } else {
                "lists support only 'contains' and 'not_contains'"
            };
            return Err(malformed("query", format!("{}: {fits}", key.field)));
        }
        if matches!(comparison, Comparison::Like | Comparison::LikeIgnoringCase) {
            pattern(&key, &text)?;
        }
        let value = value("query", &key, &text)?;
        Ok(match (is_of_sets, comparison) {
            (true, Comparison::NotEqual) => Filter::Not(Box::new(compare(key, comparison, value))),
            _ => compare(key, comparison, value),
        })
    }

    fn key(&mut self) -> Result<Key, QueryError> {
        let name = self.word();
        self.table.key("query", name)
    }

    fn combination(&mut self, operator: &str, depth: usize) -> Result<Filter, QueryError> {
        self.need('(')?;
        let mut filters = vec![self.expression(depth + 1)?];
        while self.take(',') {
            filters.push(self.expression(depth + 1)?);
        }
        self.need(')')?;
        match (operator, filters.len()) {
            ("and", _) => Ok(Filter::All(filters)),
            ("or", _) => Ok(Filter::Any(filters)),
            (_, 1) => Ok(Filter::Not(Box::new(Filter::All(filters)))),
            _ => Err(malformed("query", "'not' takes one expression")),
        }
    }
}

/// Checks that text is a valid pattern for the field: the field is a text field, and the pattern
/// doesn't end with an unescaped `\`.
fn pattern(key: &Key, text: &str) -> Result<(), QueryError> {
    if key.kind != Kind::Text {
        return Err(malformed(
            "query",
            format!("{}: 'like' and 'ilike' work only on text", key.field),
        ));
    }
    if text.chars().count() > limits::PATTERN {
        let problem =
            format!("{}: a pattern may have at most {} characters", key.field, limits::PATTERN);
        return Err(malformed("query", problem));
    }
    let backslashes = text.chars().rev().take_while(|c| *c == '\\').count();
    if backslashes % 2 == 1 {
        return Err(malformed(
            "query",
            format!("{}: a pattern may not end with a single \\", key.field),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
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
            parse_where(&BUILDS, "success:false,client.host:ci-7,finished:,steps:5,tags:x")
                .unwrap(),
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
        assert!(
            matches!(&parsed[0], Filter::Compare(_, _, Value::Text(text)) if text == "a,b: \"c\"")
        );
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
            parse_query(&BUILDS, " and( eq(success, false) ,or(null(finished),not(eq(steps,5))), not_contains(tags,a b))").unwrap(),
            Filter::All(vec![
                success(false),
                Filter::Any(vec![
                    Filter::Null(key("finished", Kind::Datetime)),
                    Filter::Not(Box::new(Filter::All(vec![equal(key("steps", Kind::Number), Value::Number(5))]))),
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
}
