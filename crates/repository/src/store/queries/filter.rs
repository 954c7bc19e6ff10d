//! Translates the domain's query tree to SQL. Every value is bound; no client text becomes SQL.

use devmason_domain::query::{Comparison, Filter, Key, Kind, SortKey, Value};
use devmason_domain::{ClientRecord, TrackKey};
use diesel::expression::{
    AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate,
};
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use super::{Db, Sql, tuned};
use crate::Listing;
use crate::store::columns::{At, Id};
use crate::store::schema::sql;

/// The SQL expressions of a resource's fields, over the tables of its list.
pub(super) struct Columns {
    /// Each field and its expression.
    pub(super) fields: &'static [(&'static str, &'static str)],
    /// Fields with a lower-case expression, because their names are case-insensitive.
    pub(super) folded: &'static [&'static str],
    /// For each set: the condition that it contains a value (`?`), and that it is empty.
    pub(super) sets: &'static [(&'static str, &'static str, &'static str)],
    /// The column with the clients' own JSON, whose members are fields.
    pub(super) open: &'static str,
    /// A column of the largest table: the time limit is checked for each of its rows.
    pub(super) scanned: &'static str,
    /// The indexed members of that JSON, each with the column for its first characters.
    pub(super) indexed: &'static [(&'static str, &'static str)],
    /// The field that is a track's key, and its column: clients see the number as digits.
    pub(super) tracks: Option<(&'static str, &'static str)>,
}

impl Columns {
    /// Writes a field's expression; a member's name is bound where the expression needs it.
    fn write(&self, key: &Key, out: Sql<'static, Bool>) -> Sql<'static, Bool> {
        let out = match &key.member {
            Some(member) => out
                .text("client_member_text(")
                .text(self.open)
                .text(", ?)")
                .bind::<Text, _>(member.clone()),
            None => {
                let known = self.fields.iter().find(|(name, _)| *name == key.field);
                // Every field of a domain table has a column; a test checks each.
                out.text(known.map_or("null", |(_, expression)| expression))
            }
        };
        if key.kind == Kind::Text { out.text(tuned::BY_BYTES) } else { out }
    }

    fn condition(&self, filter: &Filter, out: Sql<'static, Bool>) -> Sql<'static, Bool> {
        match filter {
            Filter::All(filters) => self.joined(filters, " and ", "true", out),
            Filter::Any(filters) => self.joined(filters, " or ", "false", out),
            Filter::Not(filter) => self.condition(filter, out.text("not (")).text(")"),
            Filter::Null(key) if key.kind == Kind::Set => out.text(self.set(key).2),
            Filter::Null(key) => self.write(key, out.text("(")).text(") is null"),
            Filter::Has(key, value) => out.text(self.set(key).1).bind::<Text, _>(value.clone()),
            Filter::Compare(key, comparison, value) => {
                self.comparison(key, *comparison, value, out.text("(")).text(")")
            }
        }
    }

    fn set(&self, key: &Key) -> (&'static str, &'static str, &'static str) {
        self.sets
            .iter()
            .find(|(name, ..)| *name == key.field)
            .copied()
            .unwrap_or(("", "null = ?", "null"))
    }

    fn joined(
        &self,
        filters: &[Filter],
        by: &'static str,
        none: &'static str,
        mut out: Sql<'static, Bool>,
    ) -> Sql<'static, Bool> {
        if filters.is_empty() {
            return out.text(none);
        }
        out = out.text("(");
        for (at, filter) in filters.iter().enumerate() {
            out = self.condition(filter, if at > 0 { out.text(by) } else { out });
        }
        out.text(")")
    }

    fn comparison(
        &self,
        key: &Key,
        comparison: Comparison,
        value: &Value,
        out: Sql<'static, Bool>,
    ) -> Sql<'static, Bool> {
        let operator = match comparison {
            Comparison::Equal => " = ?",
            Comparison::NotEqual => " <> ?",
            Comparison::Less => " < ?",
            Comparison::LessOrEqual => " <= ?",
            Comparison::Greater => " > ?",
            Comparison::GreaterOrEqual => " >= ?",
            Comparison::Like | Comparison::LikeIgnoringCase => {
                let [before, behind] = match comparison {
                    Comparison::Like => tuned::LIKE,
                    _ => tuned::ILIKE,
                };
                return self.bound(key, value, self.write(key, out.text(before)).text(behind));
            }
        };
        let column = key.member.as_deref().and_then(|member| {
            let (_, column) = self.indexed.iter().find(|(name, _)| *name == member)?;
            Some(*column)
        });
        if let (Comparison::Equal, Some((field, column)), Value::Text(text)) =
            (comparison, self.tracks, value)
            && field == key.field
            && let Ok(TrackKey(number)) = text.parse()
        {
            return out.text(column).text(" = ?").bind::<BigInt, _>(number);
        }
        let out = match (comparison, column, value) {
            (Comparison::Equal, Some(column), Value::Text(text)) => {
                let first = ClientRecord::key_of_host(text);
                let is_whole = first.len() < ClientRecord::HOST_CHARS;
                let out = out.text(column).text(" = ?").bind::<Text, _>(first);
                if is_whole {
                    return out;
                }
                // If two texts share the indexed prefix, the full texts decide.
                out.text(" and ")
            }
            _ => out,
        };
        let out = self.write(key, out).text(operator);
        self.bound(key, value, out)
    }

    fn bound(&self, key: &Key, value: &Value, out: Sql<'static, Bool>) -> Sql<'static, Bool> {
        match value {
            Value::Text(text) if self.folded.contains(&key.field) => {
                out.bind::<Text, _>(text.to_ascii_lowercase())
            }
            Value::Text(text) => out.bind::<Text, _>(text.clone()),
            Value::Boolean(value) => out.bind::<Bool, _>(*value),
            Value::Number(number) => out.bind::<BigInt, _>(*number),
            Value::Uuid(id) => out.bind::<sql::Uuid, _>(Id(*id)),
            Value::Datetime(at) => out.bind::<sql::Instant, _>(At(at.micros())),
        }
    }

    /// The filter as a condition, for a query over the tables of these columns.
    pub(super) fn filter(&self, filter: &Filter) -> Fragment {
        Fragment(self.condition(filter, tuned::in_time(self.scanned)))
    }

    /// The complete sort order, nulls last, with a tie-breaker. It is one flat fragment: Diesel walks
    /// an order built term by term twice for each term, so twenty terms took a minute.
    pub(super) fn order(&self, keys: &[SortKey], last: &'static str) -> Fragment {
        let mut out = Sql::new("");
        for SortKey { key, descending } in keys {
            out = self.write(key, out.text("("));
            out = self.write(key, out.text(") is null, "));
            out = out.text(if *descending { " desc, " } else { " asc, " });
        }
        Fragment(out.text(last))
    }
}

/// A listing's limit and offset.
pub(super) fn bounds(listing: &Listing) -> (i64, i64) {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    (number(listing.limit), number(listing.offset))
}

/// A fragment of SQL in a query built by Diesel.
pub(super) struct Fragment(pub(super) Sql<'static, Bool>);

impl Expression for Fragment {
    type SqlType = Nullable<Bool>;
}

impl<S> AppearsOnTable<S> for Fragment {}
impl<S> SelectableExpression<S> for Fragment {}

impl<G> ValidGrouping<G> for Fragment {
    type IsAggregate = is_aggregate::No;
}

impl QueryId for Fragment {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Db> for Fragment {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        // Clients create an unlimited number of different ones.
        pass.unsafe_to_cache_prepared();
        self.0.walk_ast(pass)
    }
}
