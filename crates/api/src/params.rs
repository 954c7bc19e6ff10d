//! The query of a request.

use std::str::FromStr;

use actix_web::web;
use devmason_domain::query::{BUILDS, Filter, Selection, parse_query, parse_sort, parse_where};
use devmason_domain::{BuildId, PageRequest};
use devmason_hypermedia::Fields;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::ApiError;

/// What stands as it is in a query.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// How a client wants a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    Json,
    Html,
}

/// A place in a list, carried by a link so that the page costs the same wherever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    After(BuildId),
    Before(BuildId),
}

/// The parameters of a request, in the order given.
pub(crate) struct Params(Vec<(String, String)>);

fn bad(name: &'static str, problem: impl Into<String>) -> ApiError {
    ApiError::BadValue { name, problem: problem.into() }
}

impl Params {
    pub(crate) fn read(query: &str) -> Result<Self, ApiError> {
        web::Query::<Vec<(String, String)>>::from_query(query)
            .map(|pairs| Self(pairs.into_inner()))
            .map_err(|error| bad("query", error.to_string()))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn format(&self) -> Result<Option<Format>, ApiError> {
        match self.get("format") {
            None => Ok(None),
            Some("json") => Ok(Some(Format::Json)),
            Some("html") => Ok(Some(Format::Html)),
            Some(other) => Err(bad("format", format!("'{other}' is neither 'json' nor 'html'"))),
        }
    }

    fn number(&self, name: &'static str, default: u64, max: u64) -> Result<u64, ApiError> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let number = u64::from_str(text).ok().filter(|number| (1..=max).contains(number));
        number.ok_or_else(|| bad(name, format!("'{text}' is not a number from 1 to {max}")))
    }

    pub(crate) fn page(&self, default_per_page: u64) -> Result<PageRequest, ApiError> {
        Ok(PageRequest {
            page: self.number("page", 1, i64::MAX.unsigned_abs() / PageRequest::MAX_PER_PAGE)?,
            per_page: self.number("per_page", default_per_page, PageRequest::MAX_PER_PAGE)?,
        })
    }

    pub(crate) fn position(&self) -> Result<Option<Position>, ApiError> {
        let id = |name: &'static str, text: &str| {
            uuid::Uuid::try_parse(text)
                .map(BuildId)
                .map_err(|_| bad(name, "not a position in this list"))
        };
        match (self.get("after"), self.get("before")) {
            (None, None) => Ok(None),
            (Some(text), None) => id("after", text).map(|id| Some(Position::After(id))),
            (None, Some(text)) => id("before", text).map(|id| Some(Position::Before(id))),
            (Some(_), Some(_)) => Err(bad("before", "'after' is given, too")),
        }
    }

    pub(crate) fn fields(&self) -> Result<Fields, ApiError> {
        self.get("fields").map_or(Ok(Fields::ALL), |text| {
            text.parse().map_err(|unknown| {
                bad("fields", format!("'{unknown}' is none of {}", Fields::names().join(", ")))
            })
        })
    }

    pub(crate) fn selection(&self) -> Result<Selection, ApiError> {
        Ok(Selection {
            filter: self
                .get("where")
                .map_or(Ok(Filter::default()), |text| parse_where(&BUILDS, text))?
                .and(
                    self.get("query")
                        .map_or(Ok(Filter::default()), |text| parse_query(&BUILDS, text))?,
                ),
            sort: self.get("sort").map_or(Ok(Vec::new()), |text| parse_sort(&BUILDS, text))?,
        })
    }

    /// The query of another page of the same list.
    pub(crate) fn of_page(&self, page: u64, position: Option<Position>) -> String {
        let number = (page > 1).then(|| ("page", page.to_string()));
        let position = position.map(|position| match position {
            Position::After(id) => ("after", id.to_string()),
            Position::Before(id) => ("before", id.to_string()),
        });
        self.with(number.into_iter().chain(position), &["page", "after", "before"])
    }

    /// The query of the same document as JSON.
    pub(crate) fn as_json(&self) -> String {
        self.with([("format", "json".to_owned())], &["format"])
    }

    /// What chooses between a resource's representations, apart from the format.
    pub(crate) fn choice(&self) -> String {
        self.with([], &["format"])
    }

    /// A query of some pairs and the request's own without those of some names.
    fn with<'a>(
        &'a self,
        pairs: impl IntoIterator<Item = (&'a str, String)>,
        without: &[&str],
    ) -> String {
        let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
        let own = self.0.iter().filter(|(name, _)| !without.contains(&name.as_str()));
        let own = own.map(|(name, value)| (name.as_str(), value.clone()));
        let pairs: Vec<String> = pairs
            .into_iter()
            .chain(own)
            .map(|(name, value)| format!("{}={}", encode(name), encode(&value)))
            .collect();
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }
}
