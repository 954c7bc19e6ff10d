//! The query API, under `/api/v1`.

mod components;
mod fixtures;
mod lists;
