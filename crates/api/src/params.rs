//! Query parameters of a request.

use std::str::FromStr;

use actix_web::web;
use devmason_domain::query::{
    BUILDS, Filter, QueryError, Selection, Table, parse_query, parse_sort, parse_where,
};
use devmason_domain::{BuildId, PageRequest, TrackKey, limits};
use devmason_hypermedia::Fields;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::ApiError;
use crate::negotiate::Format;

/// Characters that are not encoded in a query.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A position in a list, carried by a link so that every page costs the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    After(BuildId),
    Before(BuildId),
    /// An offset from the first build, for a list with a custom order, which has no other positions.
    From(u64),
}

/// The parameters of a request, in the order sent.
#[derive(Default)]
pub(crate) struct Params(Vec<(String, String)>);

fn bad(name: &'static str, problem: impl Into<String>) -> ApiError {
    ApiError::BadValue { name, problem: problem.into() }
}

/// Quotes a text as a value of the query language.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// The condition that a field contains this text, ignoring the case of ASCII letters.
pub(crate) fn holding(field: &str, text: &str) -> String {
    let plain = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("ilike({field},{})", quoted(&format!("%{plain}%")))
}

impl Params {
    pub(crate) fn read(query: &str) -> Result<Self, ApiError> {
        let params = Self::of_form(query)?;
        if let Some((name, _)) = params.0.iter().find(|(_, value)| value.len() > limits::PARAMETER)
        {
            let name: String = name.chars().take(100).collect();
            let problem = format!("'{name}' is longer than {} bytes", limits::PARAMETER);
            return Err(bad("query", problem));
        }
        Ok(params)
    }

    /// The fields of a form, which is limited as a whole.
    pub(crate) fn of_form(query: &str) -> Result<Self, ApiError> {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(query)
            .map_err(|error| bad("query", error.to_string()))?
            .into_inner();
        if pairs.len() > limits::PARAMETERS {
            let problem = format!("more than {} parameters", limits::PARAMETERS);
            return Err(bad("query", problem));
        }
        Ok(Self(pairs))
    }

    /// The first value of a parameter.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.get(name)
    }

    /// The search text.
    pub(crate) fn wanted_text(&self) -> Result<Option<String>, ApiError> {
        let Some(text) = self.get("text") else { return Ok(None) };
        // At most half of a pattern, because each character may need a backslash.
        if text.chars().count() > limits::PATTERN / 2 - 2 {
            return Err(bad("text", format!("longer than {} characters", limits::PATTERN / 2 - 2)));
        }
        Ok(Some(text.to_owned()))
    }

    /// All values of a parameter.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The parameters whose names start with this prefix, without the prefix.
    pub(crate) fn with_prefix(&self, prefix: &str) -> impl Iterator<Item = (String, String)> {
        self.0.iter().filter_map(move |(name, value)| {
            Some((name.strip_prefix(prefix)?.to_owned(), value.clone()))
        })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn format(&self) -> Result<Option<Format>, ApiError> {
        match self.get("format") {
            None => Ok(None),
            // Resources with a format of their own are always sent in it.
            Some("json" | "raw") => Ok(Some(Format::Json)),
            Some("html") => Ok(Some(Format::Html)),
            Some(other) => Err(bad("format", format!("'{other}' is neither 'json' nor 'html'"))),
        }
    }

    /// The limit and offset of a list of objects.
    pub(crate) fn limit_and_offset(&self) -> Result<(u64, u64), ApiError> {
        let limit = self.number("limit", 20, 1000)?;
        let Some(text) = self.get("offset") else { return Ok((limit, 0)) };
        let offset = text
            .parse::<u32>()
            .map_err(|_| bad("offset", format!("'{text}' is not a non-negative integer")))?;
        Ok((limit, u64::from(offset)))
    }

    pub(crate) fn number(
        &self,
        name: &'static str,
        default: u64,
        max: u64,
    ) -> Result<u64, ApiError> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let number = u64::from_str(text).ok().filter(|number| (1..=max).contains(number));
        number.ok_or_else(|| bad(name, format!("'{text}' is not an integer from 1 to {max}")))
    }

    /// A non-negative number, if given.
    pub(crate) fn count(&self, name: &'static str) -> Result<Option<usize>, ApiError> {
        let number = self.get(name).map(|text| {
            text.parse::<usize>()
                .map_err(|_| bad(name, format!("'{text}' is not a non-negative integer")))
        });
        number.transpose()
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
        let from = |text: &str| {
            text.parse()
                .map(Position::From)
                .map_err(|_| bad("from", format!("'{text}' is not a number")))
        };
        match (self.get("after"), self.get("before"), self.get("from")) {
            (None, None, None) => Ok(None),
            (Some(text), None, None) => id("after", text).map(|id| Some(Position::After(id))),
            (None, Some(text), None) => id("before", text).map(|id| Some(Position::Before(id))),
            (None, None, Some(text)) => from(text).map(Some),
            _ => Err(bad("from", "use only one of 'after', 'before' and 'from'")),
        }
    }

    /// A position in a test's history: after a build, or at a case in it, because a build may contain a
    /// test more than once.
    pub(crate) fn place(&self) -> Result<Option<(BuildId, u32)>, ApiError> {
        let Some(after) = self.get("after") else {
            let without = self.get("from").map(|_| bad("from", "requires 'after'"));
            return without.map_or(Ok(None), Err);
        };
        let id = uuid::Uuid::try_parse(after)
            .map_err(|_| bad("after", "not a position in this list"))?;
        let from = self.get("from").map_or(Ok(u32::MAX), |text| {
            text.parse().map_err(|_| bad("from", format!("'{text}' is not a number")))
        });
        from.map(|from| Some((BuildId(id), from)))
    }

    /// The words of a parameter, separated by commas. An empty one, as forms send it, has none; one that
    /// consists of commas is a mistake.
    pub(crate) fn words(&self, name: &'static str) -> Result<Vec<&str>, ApiError> {
        let mut all = Vec::new();
        for text in self.all(name).filter(|text| !text.trim().is_empty()) {
            let before = all.len();
            all.extend(text.split(',').map(str::trim).filter(|word| !word.is_empty()));
            if all.len() == before {
                return Err(bad(name, format!("'{text}' names nothing")));
            }
        }
        Ok(all)
    }

    pub(crate) fn fields(&self) -> Result<Fields, ApiError> {
        self.words("fields")?;
        self.get("fields").map_or(Ok(Fields::ALL), |text| {
            text.parse().map_err(|unknown| {
                bad("fields", format!("'{unknown}' is not one of {}", Fields::names().join(", ")))
            })
        })
    }

    /// Whether to embed anything; fails for a name that cannot be embedded.
    pub(crate) fn embeds(&self, valid: &'static [&'static str]) -> Result<bool, ApiError> {
        let names = self.words("embed")?;
        match names.iter().find(|name| !valid.contains(name)) {
            Some(unknown) => Err(ApiError::Query(QueryError::UnknownKey {
                parameter: "embed",
                key: (*unknown).to_owned(),
                valid: valid.iter().map(|name| (*name).to_owned()).collect(),
            })),
            None => Ok(!names.is_empty()),
        }
    }

    /// Whether a parameter is `true`.
    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, ApiError> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(bad(name, format!("'{other}' is neither 'true' nor 'false'"))),
        }
    }

    pub(crate) fn selection(&self, table: &Table) -> Result<Selection, ApiError> {
        for name in ["where", "query", "sort"] {
            if self.all(name).count() > 1 {
                return Err(bad(name, "given twice".to_owned()));
            }
        }
        Ok(Selection {
            filter: self
                .get("where")
                .map_or(Ok(Filter::default()), |text| parse_where(table, text))?
                .and(
                    self.get("query")
                        .map_or(Ok(Filter::default()), |text| parse_query(table, text))?,
                ),
            sort: self.get("sort").map_or(Ok(Vec::new()), |text| parse_sort(table, text))?,
        })
    }

    /// The filter and order of builds: those of [`Self::selection`], plus `state`, `tag`, `host`,
    /// `branch`, `track` and `text` as sent by a form. Empty ones are ignored.
    pub(crate) fn selection_of_builds(&self) -> Result<Selection, ApiError> {
        let mut selection = self.selection(&BUILDS)?;
        let given = |name| self.get(name).map(str::trim).filter(|text| !text.is_empty());
        let state = match given("state") {
            None => None,
            Some("success") => Some("eq(success,true)".to_owned()),
            Some("failure") => Some("eq(success,false)".to_owned()),
            Some("running") => Some("eq(state,running)".to_owned()),
            Some(other) => {
                return Err(bad(
                    "state",
                    format!("'{other}' is not one of success, failure, running"),
                ));
            }
        };
        let track = match given("track").map(|text| (text, text.parse::<TrackKey>())) {
            None => None,
            Some((_, Ok(key))) => Some(format!("eq(track,{key})")),
            Some((text, Err(problem))) => return Err(bad("track", format!("'{text}': {problem}"))),
        };
        let conditions = [
            state,
            given("tag").map(|tag| format!("contains(tags,{})", quoted(tag))),
            given("host").map(|host| format!("eq(client.host,{})", quoted(host))),
            given("branch").map(|branch| format!("eq(client.branch,{})", quoted(branch))),
            track,
            self.wanted_text()?
                .filter(|text| !text.trim().is_empty())
                .map(|text| holding("key", text.trim())),
        ];
        for condition in conditions.into_iter().flatten() {
            selection.filter = selection.filter.and(parse_query(&BUILDS, &condition)?);
        }
        Ok(selection)
    }

    /// The query of another page of this list.
    pub(crate) fn of_page(&self, page: u64, position: Option<Position>) -> String {
        let number = (page > 1).then(|| ("page", page.to_string()));
        let position = position.map(|position| match position {
            Position::After(id) => ("after", id.to_string()),
            Position::Before(id) => ("before", id.to_string()),
            Position::From(offset) => ("from", offset.to_string()),
        });
        self.with(number.into_iter().chain(position), &["page", "after", "before", "from"])
    }

    /// The query of this list at another offset.
    pub(crate) fn of_offset(&self, offset: u64) -> String {
        self.with([("offset", offset.to_string())], &["offset"])
    }

    /// The query of this list from a case of a build on.
    pub(crate) fn of_place(&self, build: BuildId, from: u32) -> String {
        self.with([("after", build.to_string()), ("from", from.to_string())], &["after", "from"])
    }

    /// The query of this list from a place on that its last page told.
    pub(crate) fn of_from(&self, from: String) -> String {
        self.with([("from", from)], &["from"])
    }

    /// The query of the first page of this list in another order.
    pub(crate) fn of_sort(&self, sort: String) -> String {
        self.with([("sort", sort)], &["sort", "order", "page"])
    }

    /// The query of this document as JSON.
    pub(crate) fn as_json(&self) -> String {
        self.with([("format", "json".to_owned())], &["format"])
    }

    /// The parameters that select a representation. They include the format even if it makes no
    /// difference here, because links to other pages repeat it.
    pub(crate) fn choice(&self) -> String {
        self.with([], &[])
    }

    /// A query of these pairs and the request's own parameters, except those with these names.
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
