//! Test cases of builds, their history, and receipts.

pub(crate) mod fixtures;
mod history;
mod listing;
mod storing;
mod uploads;
