//! Content negotiation (RFC 9110, section 12).

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{self, Accept, AcceptEncoding, Encoding, Header, Quality};
use actix_web::{HttpMessage, HttpRequest};

/// The requested format of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    Json,
    Html,
}

/// The format that the client asked for by `format`, or else prefers: JSON, unless it gives
/// `text/html` a higher weight.
pub(crate) fn format(request: &HttpRequest, asked: Option<Format>) -> Format {
    if let Some(format) = asked {
        return format;
    }
    // A header that cannot be parsed says nothing.
    let accept = Accept::parse(request).unwrap_or_else(|_| Accept::star());
    let is_page = weight(&accept, "text", "html") > weight(&accept, "application", "json");
    if is_page { Format::Html } else { Format::Json }
}

/// The weight of a media type: that of the most specific range that includes it (section 12.5.1).
fn weight(accept: &Accept, kind: &str, subtype: &str) -> Quality {
    let ranges = accept.0.iter().filter_map(|range| {
        let specific = match (range.item.type_().as_str(), range.item.subtype().as_str()) {
            (of, "*") if of == kind => 2,
            ("*", "*") => 1,
            (of, exact) if of == kind && exact == subtype => 3,
            _ => return None,
        };
        Some((specific, range.quality))
    });
    // Of equally specific ranges the first counts.
    let best = ranges.rev().max_by_key(|(specific, _)| *specific);
    best.map_or(Quality::ZERO, |(_, quality)| quality)
}

/// Sends a body uncompressed if the client accepts none of the supported codings (RFC 9110,
/// 12.5.3). The compression middleware would refuse the request with an error in a different shape.
pub(crate) fn negotiable(request: &mut ServiceRequest) {
    let sent = [Encoding::identity(), Encoding::brotli(), Encoding::gzip(), Encoding::zstd()];
    let accepted = request.get_header::<AcceptEncoding>();
    if accepted.is_some_and(|accepted| accepted.negotiate(sent.iter()).is_none()) {
        request.headers_mut().remove(header::ACCEPT_ENCODING);
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header;

    use super::*;

    fn request(accept: Option<&str>) -> HttpRequest {
        let request = actix_web::test::TestRequest::default();
        let accept = accept.map(|accept| (header::ACCEPT, accept));
        accept
            .into_iter()
            .fold(request, |request, header| request.insert_header(header))
            .to_http_request()
    }

    #[test]
    fn json_unless_html_is_preferred() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, wanted) in [
            (None, Format::Json),
            (Some("*/*"), Format::Json),
            (Some("application/json"), Format::Json),
            (Some(browser), Format::Html),
            (Some("text/html"), Format::Html),
            (Some("text/html;q=0.5, application/json"), Format::Json),
            (Some("text/html, application/json;q=0.9"), Format::Html),
            (Some("image/png"), Format::Json),
        ] {
            assert_eq!(format(&request(accept), None), wanted, "{accept:?}");
        }
        assert_eq!(format(&request(Some(browser)), Some(Format::Json)), Format::Json);
    }
}
