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
mod behaviour;
