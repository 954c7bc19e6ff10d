//! Forms on pages. A form becomes the request that a program would send, and goes to the same
//! handlers with the same permissions; its response becomes a page.

pub(crate) mod submit;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use devmason_hypermedia::{Method, Resource};
use devmason_pages::{Form, SIGN_IN};
use serde_json::{Map, Value};

use crate::app::App;
use crate::auth::{Caller, authenticate};
use crate::error::ApiError;
use crate::forwarded::Origin;
use crate::params::Params;
use crate::session::{Session, is_own_page, is_surely_own_page, no_cookie};

/// Whether a POST is a form from a page. Only resources with forms qualify: programs that upload
/// files may also claim to send forms.
pub(crate) fn is_form(request: &HttpRequest, resource: &Resource) -> bool {
    let media_type = request.headers().get(header::CONTENT_TYPE);
    let media_type = media_type.and_then(|text| text.to_str().ok()).unwrap_or_default();
    let is_form = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded");
    let has_forms = matches!(
        resource,
        Resource::ProjectList
            | Resource::Project(_)
            | Resource::Build(..)
            | Resource::Reparse(..)
            | Resource::Track(..)
            | Resource::IssueList(_)
            | Resource::Issue(..)
            | Resource::User(_)
            | Resource::Session
    );
    is_form && has_forms
}

/// The request that a form stands for.
pub(crate) struct Asked {
    /// The method.
    pub(crate) method: Method,
    /// The resource.
    pub(crate) resource: Resource,
    /// The document.
    pub(crate) body: Bytes,
    /// Where to redirect afterwards.
    pub(crate) then: Resource,
}

fn bad(name: &'static str, problem: &str) -> ApiError {
    ApiError::BadValue { name, problem: problem.to_owned() }
}

/// Whether a form comes from a page of this session.
pub(crate) fn is_of(
    session: &Session,
    request: &HttpRequest,
    origin: &Origin,
    fields: &Params,
) -> bool {
    is_own_page(request, &origin.base) && fields.first("_token") == Some(session.token().as_str())
}

/// The session of somebody who signs in with the form, because the one of its page has ended; `None` for
/// other forms.
pub(crate) async fn renewed(
    request: &HttpRequest,
    app: &App,
    origin: &Origin,
    fields: &Params,
) -> Result<Option<Session>, ApiError> {
    let [username, password] = SIGN_IN.map(|name| fields.first(name).unwrap_or_default());
    if username.is_empty() || !is_surely_own_page(request, &origin.base) {
        return Ok(None);
    }
    signed_in(app, origin, username, password).await.map(Some)
}

/// Parses a form.
pub(crate) fn read(resource: &Resource, fields: &Params) -> Result<Asked, ApiError> {
    let method = match (fields.first("_method"), resource) {
        (Some("POST"), Resource::Reparse(..) | Resource::IssueList(_)) => Method::Post,
        (_, Resource::Reparse(..) | Resource::IssueList(_)) => {
            return Err(bad("_method", "must be POST"));
        }
        (Some("PUT"), _) => Method::Put,
        (Some("DELETE"), _) => Method::Delete,
        _ => return Err(bad("_method", "must be PUT or DELETE")),
    };
    let resource = match resource {
        Resource::ProjectList => {
            let slug = fields.first("_slug").unwrap_or_default().trim();
            let slug = slug
                .parse()
                .map_err(|error: devmason_domain::Invalid| bad("name in URLs", &error.0))?;
            match Resource::parse(&Resource::Project(slug).path()) {
                Ok(resource @ Resource::Project(_)) => resource,
                Ok(_) | Err(_) => {
                    return Err(bad("name in URLs", "this name is reserved"));
                }
            }
        }
        other => other.clone(),
    };
    // An issue is easily created again.
    if method == Method::Delete && !matches!(resource, Resource::Issue(..)) {
        let name = match &resource {
            Resource::Project(slug) => slug.to_string(),
            Resource::Build(_, key) => key.to_string(),
            _ => return Err(ApiError::NotFound("form not found")),
        };
        if fields.first("_confirm").map(str::trim) != Some(name.as_str()) {
            return Err(bad("confirmation", &format!("type '{name}' to confirm the deletion")));
        }
    }
    let then = match (&resource, method) {
        (Resource::Project(_), Method::Delete) => Resource::ProjectList,
        (Resource::Build(slug, _), _) => Resource::BuildList(slug.clone()),
        (Resource::Issue(slug, _), Method::Delete) => Resource::IssueList(slug.clone()),
        (Resource::Reparse(slug, key), _) => Resource::Receipt(slug.clone(), key.clone()),
        // A new password ends all sessions.
        (Resource::User(_), _) => Resource::Session,
        (other, _) => other.clone(),
    };
    let document = match resource {
        Resource::IssueList(_) | Resource::Issue(..) => issue(fields),
        Resource::Project(_) => project(fields),
        _ => texts(fields).collect(),
    };
    let has_body = match resource {
        Resource::Reparse(..) => false,
        _ => method != Method::Delete,
    };
    let body = if has_body { Value::Object(document).to_string().into() } else { Bytes::new() };
    Ok(Asked { method, resource, body, then })
}

/// The form that has these fields, to be shown again.
pub(crate) fn shown(resource: &Resource, fields: &Params) -> Option<Form> {
    match (resource, fields.first("_method")) {
        (Resource::Project(_) | Resource::Build(..), Some("DELETE")) => Some(Form::Deletion),
        (_, Some("DELETE")) => None,
        (Resource::ProjectList, _) => Some(Form::Registration),
        (Resource::Project(_), _) => Some(Form::Settings),
        (Resource::Track(..), _) => Some(Form::Expected),
        (Resource::User(_), _) => Some(Form::Password),
        // The buttons that close or mute an issue have no fields.
        (Resource::IssueList(_) | Resource::Issue(..), _) => {
            fields.first("title").map(|_| Form::Issue)
        }
        _ => None,
    }
}

/// The fields of a form that are members of a document.
fn texts(fields: &Params) -> impl Iterator<Item = (String, Value)> {
    let named = fields.with_prefix("").filter(|(name, _)| !name.starts_with('_'));
    named.map(|(name, value)| (name, Value::String(value)))
}

/// The document of a project. Without a mainline of its own it has the usual one, and it may have no
/// repository; commas separate tags, and the parts of a variant are lines.
fn project(fields: &Params) -> Map<String, Value> {
    let member = |(name, value): (String, Value)| {
        let value = match (name.as_str(), value.as_str().unwrap_or_default().trim()) {
            ("mainline" | "repository", "") => Value::Null,
            ("tags", tags) => {
                tags.split([',', ';']).map(str::trim).filter(|tag| !tag.is_empty()).collect()
            }
            ("variant_by", lines) => {
                lines.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
            }
            _ => value,
        };
        (name, value)
    };
    texts(fields).map(member).collect()
}

/// The document of an issue. An empty field says that the issue has none of it.
fn issue(fields: &Params) -> Map<String, Value> {
    let mut document = Map::new();
    let fitting: Map<String, Value> = fields
        .with_prefix("match.")
        .map(|(name, text)| (name, if text.is_empty() { Value::Null } else { text.into() }))
        .collect();
    for (name, value) in texts(fields).filter(|(name, _)| !name.starts_with("match.")) {
        let value = match (name.as_str(), value.as_str().unwrap_or_default()) {
            // A day that was not changed stands for the time that it was shown for.
            ("expires", day) if !day.is_empty() && fields.first("_expires") == Some(day) => {
                continue;
            }
            // Browsers end lines as in mails.
            ("note", text) if !text.is_empty() => text.replace("\r\n", "\n").into(),
            ("mute", text) => Value::Bool(text == "true"),
            ("url" | "note" | "expires", "") => Value::Null,
            // Browsers send a day.
            ("expires", day) if day.len() == 10 => Value::String(format!("{day}T00:00:00Z")),
            _ => value,
        };
        document.insert(name, value);
    }
    if !fitting.is_empty() {
        document.insert("match".to_owned(), Value::Object(fitting));
    }
    document
}

/// A redirect to a page.
pub(crate) fn leading_to(location: &str) -> HttpResponse {
    HttpResponse::build(StatusCode::SEE_OTHER).insert_header((header::LOCATION, location)).finish()
}

/// Authenticates a typed username and password, which are verified and counted like those of any
/// request.
async fn named(
    app: &App,
    origin: &Origin,
    username: &str,
    password: &str,
) -> Result<Caller, ApiError> {
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    let basic = header::HeaderValue::from_str(&format!("Basic {basic}"))
        .map_err(|_| ApiError::Interrupted)?;
    authenticate(&app.door(), Some(&basic), origin).await
}

/// Checks the old password before changing it. A session isn't enough: the person at the browser
/// may not be the user.
pub(crate) async fn knows_password(
    app: &App,
    origin: &Origin,
    caller: &Caller,
    asked: &Asked,
    fields: &Params,
) -> Result<(), ApiError> {
    let (Resource::User(username), Method::Put) = (&asked.resource, asked.method) else {
        return Ok(());
    };
    app.settings.policy.put_user(&caller.viewer, username)?;
    let old = fields.first("_old_password").unwrap_or_default();
    match named(app, origin, username.as_str(), old).await {
        Ok(known) if known.viewer.account() == caller.viewer.account() => Ok(()),
        Ok(_) | Err(ApiError::BadCredentials(_)) => Err(bad("current password", "wrong password")),
        Err(error) => Err(error),
    }
}

/// Signs in or out.
pub(crate) async fn session(
    request: &HttpRequest,
    app: &App,
    origin: &Origin,
    session: Option<&Session>,
    fields: &Params,
) -> Result<HttpResponse, ApiError> {
    let base = &origin.base;
    if !is_own_page(request, base) {
        return Err(ApiError::ForeignForm);
    }
    if fields.first("_method") == Some("DELETE") {
        let Some(session) =
            session.filter(|session| fields.first("_token") == Some(&session.token()))
        else {
            return Err(ApiError::ForeignForm);
        };
        session.end(&app.store).await?;
        let mut answer = leading_to(&base.location(&Resource::ProjectList));
        return answer
            .add_cookie(&no_cookie(base))
            .map(|()| answer)
            .map_err(|_| ApiError::Interrupted);
    }
    let [username, password] =
        ["username", "password"].map(|name| fields.first(name).unwrap_or_default());
    let new = signed_in(app, origin, username, password).await?;
    if let Some(old) = session {
        old.end(&app.store).await?;
    }
    let next = fields.first("next").filter(|next| is_within(next, base.prefix()));
    let mut answer = leading_to(next.unwrap_or(&base.location(&Resource::ProjectList)));
    answer.add_cookie(&new.cookie(base)).map(|()| answer).map_err(|_| ApiError::Interrupted)
}

/// A new session of whoever has this password.
async fn signed_in(
    app: &App,
    origin: &Origin,
    username: &str,
    password: &str,
) -> Result<Session, ApiError> {
    let caller = named(app, origin, username, password).await?;
    // A mistyped name must not create a user.
    let of =
        caller.viewer.account().ok_or(ApiError::BadCredentials("wrong username or password"))?;
    Session::begin(&app.store, of).await
}

/// Whether a path is within this server, as its pages write it. It contains nothing that a browser
/// would take for another host, and nothing that is invalid in a header.
pub(crate) fn is_within(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
        && !path.starts_with("//")
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_to_go_to_is_one_of_this_server() {
        assert!(is_within("/pony/builds?page=2", "") && is_within("/x/pony", "/x"));
        for bad in [
            "https://evil.example.org/",
            "//evil.example.org",
            "/\\evil.example.org",
            "evil",
            "",
            "/a\u{1}",
            "/\t/x",
            "/\u{7f}",
            "/ü",
            "/ ",
        ] {
            assert!(!is_within(bad, ""), "{bad}");
        }
        assert!(!is_within("/pony", "/x"));
    }
}
