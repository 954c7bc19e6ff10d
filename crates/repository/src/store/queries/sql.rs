//! Handwritten SQL, where Diesel's builder cannot express it or would not keep it prepared.

use std::borrow::Cow;
use std::marker::PhantomData;

use diesel::RunQueryDsl;
use diesel::expression::{
    AppearsOnTable, Expression, SelectableExpression, TypedExpressionType, ValidGrouping,
    is_aggregate,
};
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::HasSqlType;

use super::{Conn, Db};

/// A statement with `?` for each bound value, returning rows of `ST`.
///
/// Unlike `diesel::sql_query` it stays prepared, cached by its text. Client text never becomes part
/// of it: values are bound.
pub(in super::super) struct Sql<'a, ST> {
    text: Cow<'static, str>,
    binds: Vec<Box<dyn Bound + Send + 'a>>,
    once: bool,
    rows: PhantomData<ST>,
}

trait Bound {
    fn push<'b>(&'b self, pass: &mut AstPass<'_, 'b, Db>) -> QueryResult<()>;
}

struct Typed<T, U>(U, PhantomData<T>);

impl<T, U> Bound for Typed<T, U>
where
    Db: HasSqlType<T>,
    U: ToSql<T, Db>,
{
    fn push<'b>(&'b self, pass: &mut AstPass<'_, 'b, Db>) -> QueryResult<()> {
        pass.push_bind_param::<T, U>(&self.0)
    }
}

impl<'a, ST> Sql<'a, ST> {
    pub(in super::super) fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into(), binds: Vec::new(), once: false, rows: PhantomData }
    }

    /// Appends to the text.
    pub(in super::super) fn text(mut self, text: &'static str) -> Self {
        self.text += text;
        self
    }

    /// Appends another statement with its values.
    pub(super) fn then<T>(mut self, other: Sql<'a, T>) -> Self {
        self.text += other.text;
        self.binds.extend(other.binds);
        self
    }

    /// Disables the prepared-statement cache: clients create an unlimited number of different
    /// statements.
    pub(in super::super) fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Binds the next `?`.
    pub(in super::super) fn bind<T, U>(mut self, value: U) -> Self
    where
        Db: HasSqlType<T>,
        U: ToSql<T, Db> + Send + 'a,
        T: Send + 'a,
    {
        self.binds.push(Box::new(Typed::<T, U>(value, PhantomData)));
        self
    }
}

impl<ST> QueryFragment<Db> for Sql<'_, ST> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        if self.once {
            pass.unsafe_to_cache_prepared();
        }
        let mut binds = self.binds.iter();
        for (at, text) in self.text.split('?').enumerate() {
            if at > 0
                && let Some(bound) = binds.next()
            {
                bound.push(&mut pass)?;
            }
            pass.push_sql(text);
        }
        Ok(())
    }
}

impl<ST> QueryId for Sql<'_, ST> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<ST> Query for Sql<'_, ST> {
    type SqlType = ST;
}

impl<ST> RunQueryDsl<Conn> for Sql<'_, ST> {}

/// An expression in a query that Diesel builds.
///
/// Unlike `diesel::dsl::sql`, it lets the query stay prepared: a database would otherwise plan it anew
/// each time, which takes longer than reading a page.
pub(super) struct Expr<ST>(pub(super) Sql<'static, ST>);

impl<ST: TypedExpressionType> Expression for Expr<ST> {
    type SqlType = ST;
}

impl<S, ST> AppearsOnTable<S> for Expr<ST> where Self: Expression {}
impl<S, ST> SelectableExpression<S> for Expr<ST> where Self: Expression {}

impl<G, ST> ValidGrouping<G> for Expr<ST> {
    type IsAggregate = is_aggregate::No;
}

impl<ST> QueryId for Expr<ST> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<ST> QueryFragment<Db> for Expr<ST> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }
}
