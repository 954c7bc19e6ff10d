//! What is done for each resource and method: parse, one call to the repository, view.

pub(crate) mod builds;
pub(crate) mod feeds;
pub(crate) mod lists;
pub(crate) mod objects;
pub(crate) mod outputs;
pub(crate) mod pages;
pub(crate) mod progress;
pub(crate) mod projects;
pub(crate) mod receipts;
pub(crate) mod service;
pub(crate) mod tests;
pub(crate) mod users;
