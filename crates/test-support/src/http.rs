//! A small HTTP/1.1 client that sends exactly what a test specifies and hides nothing of the
//! response.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A request to send.
#[derive(Debug, Clone)]
pub struct Request {
    address: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, without its transfer coding.
    pub body: Vec<u8>,
}

impl Request {
    /// A request to the server at `address` (host and port).
    pub fn new(address: &str, method: &str, target: &str) -> Self {
        let (method, target) = (method.to_owned(), target.to_owned());
        Self { address: address.to_owned(), method, target, headers: Vec::new(), body: Vec::new() }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds credentials for HTTP Basic.
    pub fn basic(self, username: &str, password: &str) -> Self {
        let encoded = base64(format!("{username}:{password}").as_bytes());
        self.header("Authorization", &format!("Basic {encoded}"))
    }

    /// Sets a JSON body.
    pub fn json(self, body: impl AsRef<str>) -> Self {
        self.header("Content-Type", "application/json").body(body.as_ref().as_bytes())
    }

    /// Sets the body, unchanged.
    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// Sends the request on a new connection, which the response comes on.
    fn begin(&self) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut head = format!("{} {} HTTP/1.1\r\nConnection: close\r\n", self.method, self.target);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head += &format!("Host: {}\r\n", self.address);
        }
        if !self.body.is_empty() || matches!(self.method.as_str(), "POST" | "PUT") {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        stream.write_all(head.as_bytes())?;
        // A server may refuse a body before reading it and close the connection; its response counts.
        let _ = stream.write_all(&self.body);
        Ok(stream)
    }

    /// Sends the request on a new connection; an error is a network error.
    pub fn try_send(&self) -> std::io::Result<Response> {
        let mut stream = self.begin()?;
        let mut bytes = Vec::new();
        let read = stream.read_to_end(&mut bytes);
        match parse(&bytes, self.method == "HEAD") {
            Some(response) => Ok(response),
            None => Err(read.err().unwrap_or_else(|| std::io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Sends the request; a network error fails the test.
    pub fn send(&self) -> Response {
        self.try_send().unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.target))
    }

    /// Sends the request and receives the response in the background.
    pub fn watch(&self) -> Watched {
        let mut stream =
            self.begin().unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.target));
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let received = bytes.clone();
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
                received.extend_from_slice(&buffer[..count]);
            }
        });
        Watched { bytes, thread }
    }

    /// The method and the target, for messages.
    pub fn line(&self) -> (&str, &str) {
        (&self.method, &self.target)
    }
}

/// A response that may be looked at before it has ended, such as a stream of events.
#[derive(Debug)]
pub struct Watched {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Watched {
    fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the server has begun to respond.
    pub fn has_begun(&self) -> bool {
        has(&self.bytes(), b"\r\n\r\n")
    }

    /// Whether this text has arrived, in one piece.
    pub fn has(&self, text: &str) -> bool {
        has(&self.bytes(), text.as_bytes())
    }

    /// Waits for the end of the response.
    pub fn response(self) -> Response {
        let Self { bytes, thread } = self;
        let _ = thread.join();
        let bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
        parse(&bytes, false)
            .unwrap_or_else(|| panic!("not a response: {}", String::from_utf8_lossy(&bytes)))
    }
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

impl Response {
    /// A header's value; empty if absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn parse(bytes: &[u8], is_head: bool) -> Option<Response> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let rest = &bytes[end + 4..];
    let mut response = Response { status, headers, body: Vec::new() };
    if response.header("transfer-encoding") == "chunked" {
        response.body = dechunk(rest)?;
    } else if let Ok(length) = response.header("content-length").parse::<usize>()
        && !is_head
    {
        response.body = rest.get(..length)?.to_vec();
    } else {
        response.body = rest.to_vec();
    }
    Some(response)
}

fn dechunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let length =
            usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?.trim(), 16).ok()?;
        rest = &rest[line + 2..];
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..length)?);
        rest = rest.get(length + 2..)?;
    }
}

/// Base64 with padding (RFC 4648).
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let sextet = (group >> (18 - 6 * at)) & 63;
            text.push(if at <= chunk.len() { ALPHABET[sextet as usize] as char } else { '=' });
        }
    }
    text
}
