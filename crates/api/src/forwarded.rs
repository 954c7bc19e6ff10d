//! Where a request comes from and which host it is for, as far as this can be trusted.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use actix_web::HttpRequest;
use actix_web::http::header::{HOST, ORIGIN};
use devmason_hypermedia::Base;

use crate::call::Call;
use crate::settings::Settings;

/// A request's time of arrival, its client, and the server's address as seen by that client.
pub(crate) struct Origin {
    /// The time of arrival, or of the latest retry.
    pub(crate) arrived: Instant,
    /// The client's address; `None` for a socket without one.
    pub(crate) client: Option<IpAddr>,
    /// The start of every link.
    pub(crate) base: Base,
    /// The requested host, with its port, if the client names one.
    host: Option<String>,
}

impl Origin {
    /// Where a request comes from, for credentials that are found in its body.
    pub(crate) fn of(call: &Call<'_>) -> Self {
        Self { arrived: call.arrived, client: call.client, base: call.base.clone(), host: None }
    }

    /// Whether the server serves the requested host.
    pub(crate) fn is_served(&self, settings: &Settings) -> bool {
        if settings.hosts.is_empty() {
            return true;
        }
        let Some(host) = &self.host else { return false };
        let is_public = settings.public_url.as_ref().is_some_and(|base| {
            let (_, public) = base.origin().split_once("://").unwrap_or_default();
            public.eq_ignore_ascii_case(host)
        });
        let name = without_port(host);
        let is_named =
            |known: &String| known.eq_ignore_ascii_case(host) || known.eq_ignore_ascii_case(name);
        is_public || settings.hosts.iter().any(is_named)
    }
}

/// Removes the port from a host: `[::1]:80` becomes `[::1]`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether the browser says that the request comes from a page of another site: `Sec-Fetch-Site` if
/// present, otherwise `Origin`. Other clients send neither.
pub(crate) fn is_cross_site(request: &HttpRequest, base: &Base) -> bool {
    if let Some(site) = request.headers().get("sec-fetch-site") {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    let origin = request.headers().get(ORIGIN);
    origin.is_some_and(|origin| !origin.as_bytes().eq_ignore_ascii_case(base.origin().as_bytes()))
}

/// Forwarded headers are used only if they come from trusted proxies.
///
/// `address` is where the server listens, for requests that name no host.
pub(crate) fn origin(request: &HttpRequest, settings: &Settings, address: SocketAddr) -> Origin {
    let arrived = Instant::now();
    let peer = request.peer_addr().map(|address| address.ip());
    let trusted = |address: &IpAddr| settings.is_proxy(address);
    let behind_proxy = peer.as_ref().is_some_and(trusted);
    let forwarded = if behind_proxy { Forwarded::read(request) } else { Forwarded::default() };

    // Each proxy appends its peer's address; the nearest address that isn't one of our proxies is the
    // client.
    let client = forwarded.clients.iter().rev().copied().find(|address| !trusted(address)).or(peer);
    let sent = || {
        let header = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        request.uri().authority().map(|authority| authority.as_str()).or(header).map(str::to_owned)
    };
    let host = forwarded.host.or_else(sent).filter(|host| is_host(host));
    if let Some(base) = &settings.public_url {
        return Origin { arrived, client, base: base.clone(), host };
    }
    let scheme = match forwarded.scheme.as_deref() {
        Some(scheme @ ("http" | "https")) => scheme,
        _ if settings.tls.is_some() => "https",
        _ => "http",
    };
    let of_link = host.clone().unwrap_or_else(|| address.to_string());
    Origin { arrived, client, base: Base::new(format!("{scheme}://{of_link}"), ""), host }
}

/// Whether a host is safe in a link: it has no character that ends the URL's authority.
fn is_host(host: &str) -> bool {
    !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._~:[]".contains(c))
}

#[derive(Default)]
struct Forwarded {
    clients: Vec<IpAddr>,
    scheme: Option<String>,
    host: Option<String>,
}

impl Forwarded {
    /// Parses the `X-Forwarded-*` headers, or else `Forwarded` (RFC 7239). The last of several values
    /// counts, because the nearest proxy, which is trusted, added it.
    fn read(request: &HttpRequest) -> Self {
        let header = |name: &str| {
            let values = request.headers().get_all(name).filter_map(|value| value.to_str().ok());
            let list: Vec<String> = values
                .flat_map(|value| value.split(','))
                .map(|part| part.trim().to_owned())
                .collect();
            list
        };
        let legacy = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];
        // A proxy that sets these headers passes `Forwarded` through, even if the client made it up.
        if legacy.iter().any(|name| request.headers().contains_key(*name)) {
            return Self {
                clients: header("x-forwarded-for")
                    .iter()
                    .filter_map(|text| address(text))
                    .collect(),
                scheme: header("x-forwarded-proto").pop().map(|text| text.to_ascii_lowercase()),
                host: header("x-forwarded-host").pop(),
            };
        }
        let mut forwarded = Self::default();
        for pair in header("forwarded").iter().flat_map(|element| element.split(';')) {
            let Some((name, value)) = pair.trim().split_once('=') else { continue };
            let value = value.trim_matches('"');
            match name.to_ascii_lowercase().as_str() {
                "for" => forwarded.clients.extend(address(value)),
                "proto" => forwarded.scheme = Some(value.to_ascii_lowercase()),
                "host" => forwarded.host = Some(value.to_owned()),
                _ => {}
            }
        }
        forwarded
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let socket = || text.parse::<std::net::SocketAddr>().map(|address| address.ip());
    let bracketed = || text.trim_matches(['[', ']']).parse();
    text.parse().or_else(|_| socket()).or_else(|_| bracketed()).ok()
}
