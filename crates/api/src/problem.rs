//! How errors are shown: as a document, as a page, as the sign-in form.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder};
use devmason_hypermedia::document::ErrorDocument;
use devmason_pages::{Form, ProblemPage, RefusedForm, SignIn, Site, Template};

use crate::error::ApiError;
use crate::params::Params;
use crate::respond::PAGE_HEADERS;

impl ApiError {
    /// The error as a page.
    pub(crate) fn page(&self, site: Site<'_>) -> HttpResponse {
        let (status, message, _) = self.parts();
        let reason = status.canonical_reason().unwrap_or_default();
        self.paged(&ProblemPage { site, status: status.as_u16(), reason, message: &message })
    }

    /// The error as the sign-in form, with the values entered.
    pub(crate) fn sign_in(&self, site: Site<'_>, fields: &Params) -> HttpResponse {
        let [next, username] =
            ["next", "username"].map(|name| fields.first(name).unwrap_or_default());
        self.paged(&SignIn { site, next, username, problem: &self.parts().1 })
    }

    /// Whether it is about what was typed into a form.
    pub(crate) fn is_about_fields(&self) -> bool {
        self.parts().0 == StatusCode::BAD_REQUEST
    }

    /// The error as the form that was refused, with the values entered.
    pub(crate) fn refused(
        &self,
        site: Site<'_>,
        form: (Form, String),
        fields: &Params,
    ) -> HttpResponse {
        let (_, message, payload) = self.parts();
        let sent: Vec<(String, String)> = fields.with_prefix("").collect();
        let why = (message.as_str(), payload["field"].as_str());
        self.paged(&RefusedForm::new(site, form, &sent, why))
    }

    fn paged(&self, page: &impl Template) -> HttpResponse {
        let Ok(html) = devmason_pages::rendered(page) else { return self.response() };
        let status = self.parts().0;
        let mut response = self.headed(status);
        if status == StatusCode::UNAUTHORIZED {
            // If Basic were offered, the browser would prompt by itself and never show the page with the form.
            response.insert_header((header::WWW_AUTHENTICATE, "Session realm=\"devmason\""));
        }
        for (name, value) in PAGE_HEADERS {
            response.insert_header((name, value));
        }
        response.insert_header(header::ContentType::html()).body(html)
    }

    /// The response to the client, in the shape of all errors.
    pub(crate) fn response(&self) -> HttpResponse {
        let (status, message, payload) = self.parts();
        let (message, status_code) = (message.as_str(), status.as_u16());
        self.headed(status).json(ErrorDocument { message, payload, status_code })
    }

    fn headed(&self, status: StatusCode) -> HttpResponseBuilder {
        let mut response = HttpResponse::build(status);
        match status {
            StatusCode::UNAUTHORIZED => {
                response.insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"devmason\""));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                response.insert_header((header::RETRY_AFTER, "1"));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                response.insert_header((header::RETRY_AFTER, "60"));
            }
            _ => {}
        }
        if let Self::MethodNotAllowed(methods) = self {
            response.insert_header((header::ALLOW, crate::respond::allow(methods)));
        }
        match self {
            Self::LogElsewhere(end, _) => {
                response.insert_header(("Upload-Offset", end.to_string()));
            }
            Self::NoSuchBytes(length) => {
                response.insert_header((header::CONTENT_RANGE, format!("bytes */{length}")));
            }
            _ => {}
        }
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        response
    }
}
