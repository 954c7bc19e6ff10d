//! Handlers for each resource and method: parse, call the repository once, build the view.

pub(crate) mod administration;
pub(crate) mod builds;
pub(crate) mod cases;
pub(crate) mod comparisons;
pub(crate) mod feeds;
pub(crate) mod insight;
pub(crate) mod issues;
pub(crate) mod lists;
pub(crate) mod log_search;
pub(crate) mod logs;
pub(crate) mod outputs;
pub(crate) mod progress;
pub(crate) mod projects;
pub(crate) mod receipts;
pub(crate) mod revisions;
pub(crate) mod search;
pub(crate) mod service;
pub(crate) mod signatures;
pub(crate) mod steps;
pub(crate) mod tracks;
pub(crate) mod users;
