#![doc = include_str!("../README.md")]

pub mod blocking;
mod ci;
mod client;
mod document;
mod error;
mod owner;
pub mod private;
pub mod sieve;
mod spool;

pub use ci::{Place, git, without_secrets};
pub use client::{Answer, Body, Client, Content, Credentials, Method, Outgoing, Retry, fresh_id};
pub use devmason_domain::Timestamp;
pub use document::{Document, Link, Report, Step, TestCase};
pub use error::{Error, Result};
pub use owner::Owner;
pub use spool::{About, BegunStep, Entry, Flushed, Session, Spool, end_of_incomplete, number_in};
