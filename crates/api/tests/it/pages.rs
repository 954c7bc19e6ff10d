//! Pages: what browsers get, and what they may send.

mod browser;
mod contents;
mod forms;
mod issues;
mod sessions;
mod watching;
