//! The Diesel adapters. Nothing of Diesel leaves this module.
//!
//! `queries` is ordinary Diesel, compiled once for each backend over its native types; what differs
//! between them has the same name in `postgres::tuned` and `sqlite::tuned`.

mod columns;
mod fault;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
mod schema;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;
