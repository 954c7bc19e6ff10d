//! Known issues, as clients send and receive them.

use devmason_domain::{
    Fitting, Issue, IssueDetails, IssueState, IssueTitle, Note, Pattern, SignatureId, Timestamp,
    WebAddress,
};
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::insight::PlaceDocument;
use super::lists::ListPage;
use super::objects::{maybe_utc, utc};
use super::read::DocumentError;
use super::shape;
use crate::Link;

/// A member that is there, be it null.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Which failures an issue explains: those that fit all members that are given.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object with patterns")]
#[schemars(inline)]
struct IncomingFitting {
    /// The full name of a test, or the name of a step; a pattern with `*` and `?`.
    #[schemars(with = "Option<shape::Pattern>")]
    test: Option<Pattern>,
    /// The failure's message, without one the first line of its text; a pattern.
    #[schemars(with = "Option<shape::Pattern>")]
    message: Option<Pattern>,
    /// The failure's signature.
    #[schemars(with = "Option<shape::Signature>")]
    signature: Option<SignatureId>,
    /// The branch of the build; a pattern.
    #[schemars(with = "Option<shape::Pattern>")]
    branch: Option<Pattern>,
    /// The variant of the build; a pattern.
    #[schemars(with = "Option<shape::Pattern>")]
    variant: Option<Pattern>,
}

/// An issue to create or change. The additional members of the server's own documents are ignored. Any
/// other unknown member is refused, because its sender expects it to matter.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IssueChange")]
pub struct IncomingIssue {
    /// Its title. If absent, it doesn't change.
    #[schemars(with = "Option<shape::Title>")]
    title: Option<IssueTitle>,
    /// Its address in a tracker; null for none. If absent, it doesn't change.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<shape::WebAddress>")]
    url: Option<Option<WebAddress>>,
    /// A note; null for none. If absent, it doesn't change.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<shape::Note>")]
    note: Option<Option<Note>>,
    /// Which failures it explains: `test`, `message` or `signature` is required.
    #[serde(rename = "match")]
    fitting: Option<IncomingFitting>,
    /// Whether gates pass over these failures.
    mute: Option<bool>,
    /// When it ends by itself: at most 366 days ahead if it mutes. Null for the usual end: after 30 days
    /// if it mutes, otherwise never.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<shape::Date>")]
    expires: Option<Option<Timestamp>>,
    /// Whether it is open.
    #[schemars(with = "Option<shape::IssueStates>")]
    state: Option<IssueState>,
    #[serde(default, rename = "id")]
    #[schemars(with = "serde_json::Value")]
    _id: IgnoredAny,
    #[serde(default, rename = "creator")]
    #[schemars(with = "serde_json::Value")]
    _creator: IgnoredAny,
    #[serde(default, rename = "created_at")]
    #[schemars(with = "serde_json::Value")]
    _created_at: IgnoredAny,
    #[serde(default, rename = "updated_at")]
    #[schemars(with = "serde_json::Value")]
    _updated_at: IgnoredAny,
    #[serde(default, rename = "closed_at")]
    #[schemars(with = "serde_json::Value")]
    _closed_at: IgnoredAny,
    #[serde(default, rename = "in_force")]
    #[schemars(with = "serde_json::Value")]
    _in_force: IgnoredAny,
    #[serde(default, rename = "last_seen")]
    #[schemars(with = "serde_json::Value")]
    _last_seen: IgnoredAny,
    #[serde(default, rename = "links")]
    #[schemars(with = "serde_json::Value")]
    _links: IgnoredAny,
}

fn invalid(field: &'static str) -> impl Fn(devmason_domain::Invalid) -> DocumentError {
    move |invalid| DocumentError::new(field, invalid.0)
}

impl IncomingIssue {
    /// A new issue.
    ///
    /// # Errors
    /// A missing or invalid member.
    pub fn into_details(self, now: Timestamp) -> Result<IssueDetails, DocumentError> {
        let required = |field| DocumentError::new(field, "required");
        let details = IssueDetails {
            title: self.title.clone().ok_or_else(|| required("title"))?,
            url: None,
            note: None,
            fitting: Fitting::default(),
            mute: false,
            expires: None,
            closed_at: None,
        };
        if self.fitting.is_none() {
            return Err(required("match"));
        }
        self.change(details, now)
    }

    /// A changed issue: what is absent stays as it was.
    ///
    /// # Errors
    /// An invalid member.
    pub fn change(
        self,
        mut details: IssueDetails,
        now: Timestamp,
    ) -> Result<IssueDetails, DocumentError> {
        details.title = self.title.unwrap_or(details.title);
        details.url = self.url.unwrap_or(details.url);
        details.note = self.note.unwrap_or(details.note);
        if let Some(IncomingFitting { test, message, signature, branch, variant }) = self.fitting {
            let fitting = Fitting { test, message, signature, branch, variant };
            details.fitting = fitting.checked().map_err(invalid("match"))?;
        }
        details.mute = self.mute.unwrap_or(details.mute);
        details.expire(self.expires, now).map_err(invalid("expires"))?;
        if let Some(state) = self.state {
            details.become_state(state, now);
        }
        Ok(details)
    }
}

/// Which failures an issue explains.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct FittingDocument<'a> {
    test: Option<&'a str>,
    message: Option<&'a str>,
    #[schemars(with = "Option<shape::Signature>")]
    signature: Option<&'a str>,
    branch: Option<&'a str>,
    variant: Option<&'a str>,
}

impl<'a> From<&'a Fitting> for FittingDocument<'a> {
    fn from(of: &'a Fitting) -> Self {
        Self {
            test: of.test.as_ref().map(Pattern::as_str),
            message: of.message.as_ref().map(Pattern::as_str),
            signature: of.signature.as_ref().map(SignatureId::as_str),
            branch: of.branch.as_ref().map(Pattern::as_str),
            variant: of.variant.as_ref().map(Pattern::as_str),
        }
    }
}

/// A known issue.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Issue")]
pub struct IssueDocument<'a> {
    id: Uuid,
    title: &'a str,
    /// Its address in a tracker.
    url: Option<&'a str>,
    note: Option<&'a str>,
    /// Which failures it explains: those that fit all members that are not null.
    #[serde(rename = "match")]
    fitting: FittingDocument<'a>,
    /// Whether gates pass over these failures.
    mute: bool,
    /// When it ends by itself.
    #[schemars(with = "Option<shape::Date>")]
    expires: Option<String>,
    #[schemars(with = "shape::IssueStates")]
    state: &'static str,
    /// Whether it is open and has not expired.
    in_force: bool,
    creator: Option<&'a str>,
    #[schemars(with = "shape::Date")]
    created_at: String,
    #[schemars(with = "shape::Date")]
    updated_at: String,
    #[schemars(with = "Option<shape::Date>")]
    closed_at: Option<String>,
    /// The newest of the project's newest 100 finished builds that has such a failure.
    last_seen: Option<PlaceDocument>,
    links: Vec<Link>,
}

impl<'a> IssueDocument<'a> {
    /// An issue at this time, with the build that it was last seen in.
    pub fn new(
        of: &'a Issue,
        now: Timestamp,
        last_seen: Option<PlaceDocument>,
        links: Vec<Link>,
    ) -> Self {
        let details = &of.details;
        Self {
            id: of.id,
            title: details.title.as_str(),
            url: details.url.as_ref().map(WebAddress::as_str),
            note: details.note.as_ref().map(Note::as_str),
            fitting: (&details.fitting).into(),
            mute: details.mute,
            expires: details.expires.map(Timestamp::to_rfc2822),
            state: details.state().as_str(),
            in_force: details.is_in_force(now),
            creator: of.creator.as_ref().map(|(_, username)| username.as_str()),
            created_at: of.created_at.to_rfc2822(),
            updated_at: of.updated_at.to_rfc2822(),
            closed_at: details.closed_at.map(Timestamp::to_rfc2822),
            last_seen,
            links,
        }
    }
}

/// A page of issues.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "IssueList")]
pub struct IssueListDocument<'a> {
    /// The issues, the newest first.
    pub issues: Vec<IssueDocument<'a>>,
    /// Position of the page in its list.
    #[serde(flatten)]
    pub page: ListPage,
}

/// An issue in the query API.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "IssueObject")]
pub struct IssueObject<'a> {
    id: Uuid,
    project: &'a str,
    title: &'a str,
    url: Option<&'a str>,
    note: Option<&'a str>,
    #[serde(flatten)]
    fitting: FittingDocument<'a>,
    mute: bool,
    #[serde(serialize_with = "maybe_utc")]
    #[schemars(with = "Option<shape::Utc>")]
    expires: Option<Timestamp>,
    #[schemars(with = "shape::IssueStates")]
    state: &'static str,
    creator: Option<&'a str>,
    #[serde(serialize_with = "utc")]
    #[schemars(with = "shape::Utc")]
    created_at: Timestamp,
    #[serde(serialize_with = "utc")]
    #[schemars(with = "shape::Utc")]
    updated_at: Timestamp,
    etag: String,
}

impl<'a> IssueObject<'a> {
    /// An issue of a project with its ETag.
    pub fn new(of: &'a Issue, project: &'a str, etag: String) -> Self {
        let details = &of.details;
        Self {
            id: of.id,
            project,
            title: details.title.as_str(),
            url: details.url.as_ref().map(WebAddress::as_str),
            note: details.note.as_ref().map(Note::as_str),
            fitting: (&details.fitting).into(),
            mute: details.mute,
            expires: details.expires,
            state: details.state().as_str(),
            creator: of.creator.as_ref().map(|(_, username)| username.as_str()),
            created_at: of.created_at,
            updated_at: of.updated_at,
            etag,
        }
    }
}
