#![doc = include_str!("../README.md")]

mod base;
pub mod document;
pub mod map;
mod names;
pub mod operation;
mod resource;
mod view;

pub use base::Base;
pub use document::{DocumentError, Fields};
pub use map::{Operation, Resource};
pub use names::{BuildsOf, Collection, Method, Stream, TagSegment};
pub use resource::{AgentVersion, BuildPair, PathError, Place, RESERVED};
pub use view::{Link, ListLinks, Subject, View};
