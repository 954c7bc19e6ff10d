//! HTTP/2 from the point of view of a client that speaks nothing else.

use std::sync::Arc;

use h2::client::SendRequest;
use h2_http::Request as Http2Request;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{self, pki_types::ServerName};

use super::*;

type Bytes = actix_web::web::Bytes;

/// A server with a certificate, and an HTTP/2 connection to it.
struct Http2 {
    server: Server,
    runtime: tokio::runtime::Runtime,
    send: SendRequest<Bytes>,
}

impl Http2 {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key =
            rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let tls = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let server = Server::with(|settings| settings.tls = Some(tls));
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let address = server.address.clone();
        let send = runtime.block_on(async {
            let stream = TcpStream::connect(address).await.unwrap();
            let connector = TlsConnector::from(Arc::new(config));
            let stream =
                connector.connect(ServerName::try_from("localhost").unwrap(), stream).await;
            let (send, connection) = h2::client::handshake(stream.unwrap()).await.unwrap();
            tokio::spawn(connection);
            send.ready().await.unwrap()
        });
        Self { server, runtime, send }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, h2_http::HeaderMap, String) {
        let request = Http2Request::builder()
            .method(method)
            .uri(format!("https://localhost{path}"))
            .header("content-type", "application/json")
            .body(())
            .unwrap();
        let mut send = self.send.clone();
        let body = Bytes::copy_from_slice(body.as_bytes());
        self.runtime.block_on(async move {
            let (answer, mut stream) = send.send_request(request, body.is_empty()).unwrap();
            if !body.is_empty() {
                stream.send_data(body, true).unwrap();
            }
            let (head, mut body) = answer.await.unwrap().into_parts();
            let mut text = Vec::new();
            while let Some(piece) = body.data().await {
                let piece = piece.unwrap();
                body.flow_control().release_capacity(piece.len()).unwrap();
                text.extend_from_slice(&piece);
            }
            (head.status.as_u16(), head.headers, String::from_utf8(text).unwrap())
        })
    }
}

#[test]
fn builds_are_reported_and_read_over_http_2() {
    let http2 = Http2::new();
    assert_eq!(http2.ask("PUT", "/pony", r#"{"name":"Pony"}"#).0, 201);
    let output = "a line\n".repeat(300_000);
    let document = serde_json::json!({"success": true, "results": [
        {"name": "s", "success": true, "output": output}]});
    let (status, headers, _) = http2.ask("POST", "/pony/builds", &document.to_string());
    assert_eq!(status, 201);
    let path = headers["location"].to_str().unwrap();
    let (status, headers, text) = http2.ask("GET", path, "");
    assert_eq!((status, &headers["x-content-type-options"]), (200, &"nosniff".parse().unwrap()));
    assert_eq!(headers["strict-transport-security"], "max-age=31536000");
    let read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["results"][0]["output"], document["results"][0]["output"]);
    assert!(read["links"][0]["href"].as_str().unwrap().starts_with("https://localhost/"));
    let (status, headers, text) = http2.ask("HEAD", path, "");
    assert_eq!((status, text.as_str()), (200, ""));
    assert!(headers.contains_key("etag") && headers.contains_key("date"));
    assert_eq!(http2.ask("GET", "/nosuch", "").0, 404);
    assert_eq!(http2.ask("DELETE", "/pony", "").0, 401);
    drop(http2.server);
}

#[test]
fn a_connection_announces_how_many_streams_it_has() {
    let http2 = Http2::new();
    assert_eq!(http2.ask("GET", "/", "").0, 200);
    assert_eq!(http2.send.current_max_send_streams(), 16);
}
