//! What a request wants to know of a build's failures.

use devmason_domain::gate::Gate;
use devmason_domain::insight::{Asked, Class};

use crate::error::ApiError;
use crate::params::{Params, Position};

/// Default and maximum number of failures per page.
pub(in crate::documents) const PER_PAGE: (u64, u64) = (100, 1_000);

/// What a request wants to know.
#[derive(Clone)]
pub(in crate::documents) struct Wanted {
    pub(in crate::documents) asked: Option<Asked>,
    pub(in crate::documents) gate: Gate,
    pub(in crate::documents) classes: Vec<Class>,
    pub(in crate::documents) kinds: Vec<&'static str>,
    pub(in crate::documents) from: usize,
    pub(in crate::documents) per_page: usize,
}

impl Wanted {
    /// What the parameters ask for, with at most `most` failures.
    pub(in crate::documents) fn of(params: &Params, most: u64) -> Result<Self, ApiError> {
        let bad = |name| move |problem: String| ApiError::BadValue { name, problem };
        let asked = params.first("baseline").map(str::parse::<Asked>).transpose();
        let gate = params.first("gate").unwrap_or_default().parse();
        let words = |name| params.all(name).flat_map(|words| words.split(','));
        let class = |word: &str| {
            let known = Class::ALL.into_iter().find(|class| class.as_str() == word);
            known.ok_or_else(|| format!("'{word}' is not one of new, unknown, failing, flaky"))
        };
        let kind = |word: &str| {
            let known = ["test", "step", "build"].into_iter().find(|kind| *kind == word);
            known.ok_or_else(|| format!("'{word}' is not one of test, step, build"))
        };
        let from = match params.position()? {
            None => 0,
            Some(Position::From(from)) => usize::try_from(from).unwrap_or(usize::MAX),
            Some(_) => {
                let problem = "not supported for this list; use 'from'".to_owned();
                return Err(ApiError::BadValue { name: "after", problem });
            }
        };
        let per_page = params.number("per_page", PER_PAGE.0, PER_PAGE.1)?.min(most);
        Ok(Self {
            asked: asked.map_err(|invalid| bad("baseline")(invalid.0))?,
            gate: gate.map_err(|invalid: devmason_domain::Invalid| bad("gate")(invalid.0))?,
            classes: words("class").map(class).collect::<Result<_, _>>().map_err(bad("class"))?,
            kinds: words("kind").map(kind).collect::<Result<_, _>>().map_err(bad("kind"))?,
            from,
            per_page: usize::try_from(per_page).unwrap_or(usize::MAX),
        })
    }
}
