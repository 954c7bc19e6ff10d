#![doc = include_str!("../README.md")]

mod base;
pub mod document;
mod resource;
mod view;

pub use base::Base;
pub use document::{DocumentError, Fields};
pub use resource::{
    BuildsOf, Collection, Method, PathError, RESERVED, Resource, Stream, TagSegment,
};
pub use view::{Link, ListLinks, Subject, View};
