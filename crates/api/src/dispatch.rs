//! Dispatches requests to handlers and turns errors into responses.

use std::sync::Arc;
use std::time::Instant;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, http, web};
use devmason_domain::{Username, Viewer};
use devmason_hypermedia::{Method, Place, Resource};
use devmason_pages::Site;
use tracing::Instrument;

use crate::answer::paced;
use crate::app::App;
use crate::auth::{Caller, authenticate};
use crate::body::Body;
use crate::budget::WAIT;
use crate::call::Call;
use crate::connection::Connection;
use crate::documents::service;
use crate::error::ApiError;
use crate::form::{is_form, submit};
use crate::forwarded::{Origin, is_cross_site, origin};
use crate::metrics::{RequestLabels, ResourceLabels};
use crate::negotiate::{Format, format};
use crate::operations::handle;
use crate::params::Params;
use crate::respond::allow;
use crate::session::Session;
use crate::turns::Turn;

/// Maximum number of attempts for a request that keeps losing a race with others; that many never
/// happen by chance.
const TRIES: u32 = 10;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers, logs and counts a request.
pub(crate) async fn dispatch(
    request: HttpRequest,
    payload: web::Payload,
    app: web::Data<App>,
) -> HttpResponse {
    let start = Instant::now();
    let mut origin = origin(&request, &app.settings, app.address);
    let resource = Resource::parse(origin.base.strip(request.uri().path()));
    let pattern = resource.as_ref().map_or("none", Resource::pattern);
    let id = request_id(&request);
    let span = tracing::info_span!("request", id = %id.to_str().unwrap_or_default());

    let is_page = is_browsers(&request, resource.as_ref().ok());
    let connection = connection_of(&request);
    let _busy = connection.as_ref().map(Connection::busy);
    let mut body = Body::new(
        payload.into_inner(),
        app.budget.hold(origin.client),
        connection.clone(),
        origin.client,
    );
    let mut reading = None;
    let answer = answer(&request, &mut body, &app, &mut origin, resource, &mut reading)
        .instrument(span.clone())
        .await;
    // The framework would answer an invalid header itself, in a different shape.
    let answer = answer.and_then(|response| match response.error() {
        Some(error) => Err(ApiError::Unwritable(error.to_string())),
        None => Ok(response),
    });
    let viewer = match (&answer, Session::of(&request, &origin.base)) {
        (Err(_), Some(session)) if is_page => {
            session.caller(&app.store, &app.settings.policy).await.ok().flatten()
        }
        _ => None,
    };
    let answer = match answer {
        Ok(response) => paced(response, &body.hold, connection.as_ref()).await,
        Err(error) => Err(error),
    };
    drop(reading);
    let mut response = answer.unwrap_or_else(|error| {
        let here = request.uri().path_and_query().map_or("/", |here| here.as_str()).to_owned();
        let user = viewer.as_ref().and_then(|caller| caller.viewer.username());
        let user = user.map(Username::as_str);
        let response = if is_page {
            error.page(Site {
                base: &origin.base,
                user,
                is_administrator: viewer.as_ref().is_some_and(|of| of.viewer.is_administrator()),
                token: None,
                here,
                json: None,
                version: &app.settings.version,
            })
        } else {
            error.response()
        };
        if response.status().is_server_error() {
            tracing::error!(parent: &span, error = %error.log(), "the request failed");
        }
        response
    });
    if !body.discard(app.settings.max_body_bytes).await {
        response.head_mut().set_connection_type(http::ConnectionType::Close);
    }
    response.headers_mut().insert(REQUEST_ID, id);

    let (elapsed, status) = (start.elapsed(), response.status().as_u16());
    tracing::info!(
        parent: &span,
        method = %request.method(),
        path = request.uri().path(),
        status,
        ms = elapsed.as_secs_f64() * 1e3,
        client = origin.client.map(tracing::field::display),
        "answered"
    );
    let labels =
        RequestLabels { method: method_label(request.method()), resource: pattern, status };
    app.metrics.requests.get_or_create(&labels).inc();
    app.metrics
        .duration
        .get_or_create(&ResourceLabels { resource: pattern })
        .observe(elapsed.as_secs_f64());
    response
}

/// The connection of a request.
fn connection_of(request: &HttpRequest) -> Option<Arc<Connection>> {
    let of_stream = || request.extensions().get::<Arc<Connection>>().cloned();
    request.conn_data::<Arc<Connection>>().cloned().or_else(of_stream)
}

/// Whether errors are shown as a page: only if a person navigates with a browser or submits a form.
/// Programs get the same error document, whatever they accept.
pub(crate) fn is_browsers(request: &HttpRequest, resource: Option<&Resource>) -> bool {
    let says = |name: &str, value: &str| {
        request.headers().get(name).is_some_and(|given| given.as_bytes() == value.as_bytes())
    };
    // Browsers send the second header over plain HTTP as well.
    if !says("sec-fetch-mode", "navigate") && !says("upgrade-insecure-requests", "1") {
        return false;
    }
    let is_form = request.method() == http::Method::POST
        && resource.is_some_and(|resource| is_form(request, resource));
    let is_page = request.method() == http::Method::GET
        && Params::read(request.query_string())
            .and_then(|params| Ok(format(request, params.format()?)))
            .is_ok_and(|format| format == Format::Html);
    is_form || is_page
}

/// The request id from the client if it is valid, otherwise a new one.
fn request_id(request: &HttpRequest) -> HeaderValue {
    let fits = |id: &&HeaderValue| {
        let fit = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        (1..=128).contains(&id.len()) && id.as_bytes().iter().all(fit)
    };
    let fresh = || HeaderValue::from_str(&uuid::Uuid::new_v4().to_string());
    let given = request.headers().get(REQUEST_ID).filter(fits).cloned();
    given.map_or_else(fresh, Ok).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

/// A metrics label. Unknown methods share one label, so that clients cannot flood the metrics with
/// names.
fn method_label(method: &http::Method) -> &'static str {
    let known = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"];
    known.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// The operation that a request asks for.
enum Asked {
    Allowed,
    Do(Method),
    Unknown,
}

async fn answer(
    request: &HttpRequest,
    body: &mut Body,
    app: &web::Data<App>,
    origin: &mut Origin,
    resource: Result<Resource, devmason_hypermedia::PathError>,
    reading: &mut Option<Turn>,
) -> Result<HttpResponse, ApiError> {
    let asked = match request.method().as_str() {
        "OPTIONS" => Asked::Allowed,
        "GET" | "HEAD" => Asked::Do(Method::Get),
        "POST" => Asked::Do(Method::Post),
        "PUT" => Asked::Do(Method::Put),
        "DELETE" => Asked::Do(Method::Delete),
        _ => Asked::Unknown,
    };
    // Health and readiness are open to anyone, and need no bcrypt.
    let is_open = resource.as_ref().is_ok_and(|resource| matches!(resource.place(), Place::Open));
    if !is_open && !origin.is_served(&app.settings) {
        return Err(ApiError::ForeignHost);
    }
    // Pages of other sites may never write here, whatever the user.
    let writes = !matches!(asked, Asked::Do(Method::Get) | Asked::Allowed);
    if writes && is_cross_site(request, &origin.base) {
        return Err(ApiError::CrossSite);
    }
    let params = Params::read(request.query_string())?;
    let wanted = format(request, params.format()?);
    let session = Session::of(request, &origin.base);
    if let (Asked::Do(Method::Post), Ok(of)) = (&asked, &resource)
        && is_form(request, of)
    {
        return submit::answer(request, body, app, origin, session.as_ref(), of).await;
    }
    let body = &*body;
    // If two requests create the same user or project, the second one finds it created. Retry it, and
    // authenticate its credentials again.
    let mut tries = 0;
    loop {
        let caller = if is_open {
            Caller::known(Viewer::Anonymous)
        } else {
            caller(request, app, origin, session.as_ref(), &asked).await?
        };
        // Clients that may not read must not learn what exists.
        let is_to_read = matches!(asked, Asked::Do(Method::Get) | Asked::Allowed);
        // The sign-in form must be readable without signing in.
        let is_form = matches!(resource, Ok(Resource::Session));
        let may_read = match app.settings.policy.read(&caller.viewer) {
            _ if is_open || is_form => Ok(()),
            Err(refusal) if is_to_read => return Err(refusal.into()),
            may_read => may_read,
        };
        let is_put = matches!(asked, Asked::Do(Method::Put));
        let resource = match (&resource, may_read) {
            (Ok(resource), _) => resource,
            (Err(devmason_hypermedia::PathError::NotFound), Err(refusal)) => {
                return Err(refusal.into());
            }
            (Err(error), _) => return Err(ApiError::of_path(error.clone(), is_put)),
        };
        if is_put {
            not_the_prefix(resource, origin)?;
        }
        let call = Call {
            app,
            request,
            resource,
            base: &origin.base,
            caller: &caller,
            arrived: origin.arrived,
            client: origin.client,
            params: &params,
            format: wanted,
            body,
            session: session.as_ref().filter(|_| caller.is_of_session),
            is_form: false,
            is_new: false,
        };
        if matches!(asked, Asked::Do(Method::Get)) && !is_open && reading.is_none() {
            *reading = Some(app.reads.take_within(origin.client, WAIT).await?);
        }
        let result = match asked {
            Asked::Allowed => options(&call).await,
            Asked::Do(method) => match resource.operation(method) {
                Some(operation) => handle(&call, operation).await,
                None => Err(not_allowed(&call).await),
            },
            Asked::Unknown => Err(not_allowed(&call).await),
        };
        tries += 1;
        match result {
            Err(ApiError::Raced) if tries < TRIES => origin.arrived = Instant::now(),
            Err(error) if error.tells_what_is_there() => {
                return Err(may_read.map_or_else(ApiError::from, |()| error));
            }
            result => return result,
        }
    }
}

/// Refuses a project name that equals the server's own path prefix.
pub(crate) fn not_the_prefix(resource: &Resource, origin: &Origin) -> Result<(), ApiError> {
    let own = origin.base.prefix().trim_start_matches('/').split('/').next().unwrap_or_default();
    match resource {
        Resource::Project(slug) if own.eq_ignore_ascii_case(slug.as_str()) => Err(
            ApiError::BadPath("this name is reserved: it is the server's path prefix".to_owned()),
        ),
        _ => Ok(()),
    }
}

/// The sender of a request, from its credentials or else its session. A session is valid only for
/// reading; changes need a form from one of its pages.
async fn caller(
    request: &HttpRequest,
    app: &App,
    origin: &Origin,
    session: Option<&Session>,
    asked: &Asked,
) -> Result<Caller, ApiError> {
    let credentials = request.headers().get(header::AUTHORIZATION);
    if let (None, Some(session), Asked::Do(Method::Get)) = (credentials, session, asked)
        && let Some(caller) = session.caller(&app.store, &app.settings.policy).await?
    {
        return Ok(caller);
    }
    authenticate(&app.door(), credentials, origin).await
}

async fn not_allowed(call: &Call<'_>) -> ApiError {
    let methods = service::methods(call).await;
    ApiError::MethodNotAllowed(methods.unwrap_or_else(|_| call.resource.methods().to_vec()))
}

async fn options(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let methods = service::methods(call).await?;
    Ok(HttpResponse::NoContent().insert_header((header::ALLOW, allow(&methods))).finish())
}
