//! What becomes of a form that was sent: it is done, or comes back as a page.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use devmason_domain::{Username, Viewer};
use devmason_hypermedia::Resource;
use devmason_pages::Site;

use crate::app::App;
use crate::body::Body;
use crate::call::Call;
use crate::dispatch::{is_browsers, not_the_prefix};
use crate::error::ApiError;
use crate::forwarded::Origin;
use crate::negotiate::Format;
use crate::operations::handle;
use crate::params::Params;
use crate::session::{Session, is_surely_own_page};

/// Maximum size of a form, in bytes: the longest note takes 120,000 in a form.
const MAX_FORM: usize = 256 << 10;

/// Handles a form sent from a page.
pub(crate) async fn answer(
    request: &HttpRequest,
    body: &mut Body,
    app: &web::Data<App>,
    origin: &Origin,
    session: Option<&Session>,
    of: &Resource,
) -> Result<HttpResponse, ApiError> {
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        return Err(ApiError::UnsupportedCoding);
    }
    let sent = body.receive_up_to(request, MAX_FORM).await?;
    let fields = Params::of_form(&String::from_utf8_lossy(&sent))?;
    if matches!(of, Resource::Session) {
        let result = super::session(request, app, origin, session, &fields).await;
        let here = origin.base.location(of);
        let site = Site {
            base: &origin.base,
            user: None,
            is_administrator: false,
            token: None,
            here,
            json: None,
            version: &app.settings.version,
        };
        return result.or_else(|error| match error {
            ApiError::BadCredentials(_) | ApiError::TooManyFailures => {
                Ok(error.sign_in(site, &fields))
            }
            error => Err(error),
        });
    }
    // Who signs in with the form has a session from then on.
    let renewed = super::renewed(request, app, origin, &fields).await;
    let own = session.filter(|session| super::is_of(session, request, origin, &fields));
    let (new, result) = match renewed {
        Err(error) => (None, Err(error)),
        Ok(new) => {
            let result = match new.as_ref().or(own) {
                Some(of_form) => {
                    submitted(request, body, app, origin, (of_form, of, &fields)).await
                }
                None => Err(ApiError::ForeignForm),
            };
            (new, result)
        }
    };
    let answer = match result {
        Ok(answer) => Ok(answer),
        Err(error) => {
            let sessions = (new.as_ref(), session);
            again(request, app, origin, (sessions, of, &fields), error).await
        }
    };
    let Some(new) = new else { return answer };
    let Ok(mut answer) = answer else {
        new.end(&app.store).await?;
        return answer;
    };
    if let Some(old) = session {
        old.end(&app.store).await?;
    }
    answer.add_cookie(&new.cookie(&origin.base)).map_err(|_| ApiError::Interrupted)?;
    Ok(answer)
}

/// A form that was refused, as a person sees it again: with what was typed, and fields to sign in with if
/// the session has ended. Who has just signed in sees other errors as a page, too, as that has a cookie.
async fn again(
    request: &HttpRequest,
    app: &web::Data<App>,
    origin: &Origin,
    ((new, old), of, fields): ((Option<&Session>, Option<&Session>), &Resource, &Params),
    error: ApiError,
) -> Result<HttpResponse, ApiError> {
    let may_be_mended = match error {
        ApiError::ForeignForm | ApiError::BadCredentials(_) | ApiError::TooManyFailures => {
            is_surely_own_page(request, &origin.base)
        }
        ref error => error.is_about_fields(),
    };
    let form = super::shown(of, fields).filter(|_| may_be_mended);
    if !is_browsers(request, Some(of)) || (form.is_none() && new.is_none()) {
        return Err(error);
    }
    let session = new.or(old);
    let caller = match session {
        Some(session) => session.caller(&app.store, &app.settings.policy).await?,
        None => None,
    };
    let error = match (error, &caller) {
        (ApiError::ForeignForm, None) => {
            ApiError::OldForm("your session has ended: sign in to send this form")
        }
        (ApiError::ForeignForm, Some(_)) => {
            ApiError::OldForm("this form is from an earlier session: check it, and send it again")
        }
        (error, _) => error,
    };
    let viewer = caller.as_ref().map(|caller| &caller.viewer);
    let site = Site {
        base: &origin.base,
        user: viewer.and_then(Viewer::username).map(Username::as_str),
        is_administrator: viewer.is_some_and(Viewer::is_administrator),
        token: session.filter(|_| caller.is_some()).map(Session::token),
        here: origin.base.location(of),
        json: None,
        version: &app.settings.version,
    };
    Ok(match form {
        Some(form) => error.refused(site, (form, origin.base.location(of)), fields),
        None => error.page(site),
    })
}

/// Does what a form asks for.
async fn submitted(
    request: &HttpRequest,
    body: &mut Body,
    app: &web::Data<App>,
    origin: &Origin,
    (session, of, fields): (&Session, &Resource, &Params),
) -> Result<HttpResponse, ApiError> {
    let asked = super::read(of, fields)?;
    not_the_prefix(&asked.resource, origin)?;
    let caller =
        session.caller(&app.store, &app.settings.policy).await?.ok_or(ApiError::ForeignForm)?;
    super::knows_password(app, origin, &caller, &asked, fields).await?;
    body.becomes(asked.body);
    let call = Call {
        app,
        request,
        resource: &asked.resource,
        base: &origin.base,
        caller: &caller,
        arrived: origin.arrived,
        client: origin.client,
        params: &Params::read("")?,
        format: Format::Json,
        body,
        session: Some(session),
        is_form: true,
        is_new: matches!(of, Resource::ProjectList),
    };
    let operation =
        asked.resource.operation(asked.method).ok_or(ApiError::NotFound("form not found"))?;
    let result = handle(&call, operation).await;
    result.map(|_| super::leading_to(&origin.base.location(&asked.then)))
}
