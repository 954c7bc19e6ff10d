//! Insight: what is wrong with a build, compared with a baseline.
//!
//! A [`Comparison`] takes a build, its baseline with the builds before it (the baseline's window), and
//! the builds before the build itself in its own track (its own window). It answers which failures are
//! new, which fail elsewhere, too, and which tests are flaky; what was fixed; and what is missing.
//!
//! A test is compared with its own last run in the baseline's window, not with one build: a build that
//! lacks it hides nothing. Builds in which half of the tests fail (mass failures) say nothing about a
//! single test and are passed over.
//!
//! Everything here is pure: the caller reads builds from a store and pushes them, newest first.

mod answer;
mod asked;
#[cfg(test)]
mod behaviour;
mod comparison;
mod elsewhere;
mod flaky;
mod history;
mod items;
mod merged;
mod slower;
mod streak;
mod subject;

pub use answer::{Answer, Failure, Placed};
pub use asked::Asked;
pub use comparison::{Comparison, Looked, RECENT_RUNS};
pub use elsewhere::{Elsewhere, OTHERS, RECENT};
pub use flaky::{Evidence, Flaky, wilson};
pub use history::{CELL, DIVIDED, History, LINE, Segment, TestHealth, segments};
pub use items::{
    Case, Class, FailureKey, Item, Run, SOUGHT, Side, StepRun, WINDOW, is_bad_itself,
    is_mass_failure, unexplained,
};
pub use merged::{Merged, Part};
pub use slower::Slow;
pub use streak::Since;
