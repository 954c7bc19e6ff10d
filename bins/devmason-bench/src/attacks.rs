//! Attacks on a server limited to 8 GiB of address space, while a well-behaved client reports and
//! reads: how much memory the server uses, whether it releases it, and how long the client waits.

use anyhow::{Result, anyhow};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::load::{self, Pace, request};
use crate::sample;
use crate::scenarios::{Bench, Kind, once};
use crate::server::Server;

/// The server's address space limit, in KiB.
const ADDRESS_SPACE: u64 = 8 << 20;

/// How long the server rests after an attack before its memory is measured.
const REST: Duration = Duration::from_secs(20);

/// The result of an attack.
pub(crate) struct Row {
    what: &'static str,
    load: String,
    before: f64,
    peak: f64,
    after: f64,
    p99_without: f64,
    p99: f64,
}

/// Formats the rows as a table.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = "| Attack | Load | Memory before, MiB | Peak | 20 s later | Good client's p99 without, ms | With |\n\
                    |---|---|---|---|---|---|---|\n"
        .to_owned();
    for row in rows {
        text += &format!(
            "| {} | {} | {:.0} | {:.0} | {:.0} | {:.1} | {:.1} |\n",
            row.what, row.load, row.before, row.peak, row.after, row.p99_without, row.p99
        );
    }
    text
}

/// Sends a request on a new connection and reads the status of the response.
fn send(address: &str, head: &str, body: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(120))).ok()?;
    let head =
        format!("{head}\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).ok()?;
    // A server may respond and close before it has read everything.
    let _ = stream.write_all(body);
    let mut start = [0; 12];
    stream.read_exact(&mut start).ok()?;
    String::from_utf8_lossy(start.get(9..)?).parse().ok()
}

/// Sends the same request on this many connections at once.
fn from_many(address: &str, connections: usize, head: &str, body: &[u8]) {
    thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| send(address, head, body));
        }
    });
}

/// Keeps connections open that start a request and never finish it.
fn held(address: &str, connections: usize, begin: &str, time: Duration) {
    let mut open = Vec::new();
    for _ in 0..connections {
        let Ok(mut stream) = TcpStream::connect(address) else { continue };
        let _ = stream.write_all(begin.as_bytes());
        open.push(stream);
    }
    thread::sleep(time);
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    // Writing to memory does not fail.
    let _ = packed.write_all(text);
    packed.finish().unwrap_or_default()
}

fn joined<T: std::fmt::Display>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}

type Attack = Box<dyn Fn(&str) + Send>;

/// The kinds of attack: name, description of the load, and function.
fn attacks() -> Vec<(&'static str, &'static str, Attack)> {
    const GZIP: &str = "Content-Encoding: gzip";
    let post = |path: &str, media_type: &str, more: &str| {
        format!("POST {path} HTTP/1.1\r\nContent-Type: {media_type}\r\n{more}")
    };
    let packed = |path: &'static str, media_type, connections, text: String| -> Attack {
        let (head, body) = (post(path, media_type, GZIP), gzip(text.as_bytes()));
        Box::new(move |address| from_many(address, connections, &head, &body))
    };
    let case = |n| {
        let class = n / 50;
        format!(
            "<testcase classname=\"org.example.Class{class}\" name=\"test_{n}\" time=\"0.01\"/>"
        )
    };
    let junit: String = (0..300_000).map(case).collect();
    let junit = format!("<testsuite name=\"s\">{junit}</testsuite>");
    let nested = format!("<testsuite name=\"{}\">", "n".repeat(8_000)).repeat(400);
    let nested = nested + &"<testcase name=\"a\"/>".repeat(100_000) + &"</testsuite>".repeat(400);
    let components = joined((0..400_000).map(|n| format!("\"0190f1f2-0000-7000-8000-{n:012x}\"")));
    let members = joined((0..2_000_000).map(|n| format!("\"m{n}\":1")));
    let cases = vec![r#"{"name":"a","status":"passed"}"#; 1_000_000].join(",");
    let slow = "POST /p1/builds HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 30000000\r\n\r\n{";
    let sort = joined((0..100).map(|n| format!("client.x{n}")));
    let like = "%25a".repeat(1_500);
    let big = serde_json::json!({"success": true, "results": [
        {"name": "s", "success": true, "output": "a line of text\n".repeat(500_000)}]});
    let big_head = "PUT /p1/builds/big HTTP/1.1\r\nContent-Type: application/json".to_owned();
    vec![
        (
            "bombs to a path that does not exist",
            "64 x 32 MiB in 32 KiB of gzip",
            packed("/nosuch/builds", "text/plain", 64, "\n".repeat(32 << 20)),
        ),
        (
            "bombs to a project",
            "64 x 32 MiB in 32 KiB of gzip",
            packed("/p1/builds", "text/plain", 64, "\n".repeat(32 << 20)),
        ),
        (
            "more test cases than the limit",
            "8 x 11 million `ok` lines",
            packed("/p1/builds", "text/plain", 8, "ok\n".repeat(11_000_000)),
        ),
        (
            "as many test cases as the limit allows",
            "4 x 990 000 `ok` lines",
            packed(
                "/p1/builds",
                "text/plain",
                4,
                "1..990000\n".to_owned() + &"ok\n".repeat(990_000),
            ),
        ),
        ("honest JUnit files", "16 x 24 MiB", {
            let (head, body) = (post("/p1/builds", "application/xml", "X: y"), junit.into_bytes());
            Box::new(move |address: &str| from_many(address, 16, &head, &body))
        }),
        (
            "nested suites with long names",
            "8 x 400 deep, 8 KB each",
            packed("/p1/builds", "application/xml", 8, nested),
        ),
        (
            "components of a build",
            "16 x 400 000",
            packed(
                "/p1/builds",
                "application/json",
                16,
                format!("{{\"success\":true,\"components\":[{components}]}}"),
            ),
        ),
        (
            "members of a client record",
            "16 x 2 million",
            packed(
                "/p1/builds",
                "application/json",
                16,
                format!("{{\"success\":true,\"client\":{{{members}}}}}"),
            ),
        ),
        (
            "test cases in a document",
            "8 x 1 million",
            packed(
                "/p1/builds",
                "application/json",
                8,
                format!(
                    "{{\"success\":true,\"results\":[{{\"name\":\"s\",\"success\":true,\"tests\":[{cases}]}}]}}"
                ),
            ),
        ),
        (
            "bodies that never end",
            "1 000 connections",
            Box::new(move |address| {
                held(address, 1_000, slow, Duration::from_secs(10));
            }),
        ),
        (
            "headers that never end",
            "1 000 connections",
            Box::new(|address| {
                held(address, 1_000, "GET / HTTP/1.1\r\nX: ", Duration::from_secs(10));
            }),
        ),
        (
            "watchers",
            "1 000 connections",
            Box::new(|address| {
                let watch = "GET /p1/builds/watched/events HTTP/1.1\r\nHost: x\r\n\r\n";
                let open = r#"{"incremental":true}"#;
                let head = "PUT /p1/builds/watched HTTP/1.1\r\nContent-Type: application/json";
                let _ = send(address, head, open.as_bytes());
                held(address, 1_000, watch, Duration::from_secs(10));
            }),
        ),
        (
            "readers that receive nothing",
            "200 connections, 7.5 MB each",
            Box::new(move |address| {
                let _ = send(address, &big_head, big.to_string().as_bytes());
                let read =
                    "GET /p1/builds/big/steps/0/output?format=raw HTTP/1.1\r\nHost: x\r\n\r\n";
                held(address, 200, read, Duration::from_secs(10));
            }),
        ),
        (
            "password guesses for unknown usernames",
            "50 connections, 10 each",
            Box::new(|address| {
                thread::scope(|scope| {
                    for guesser in 0..50 {
                        scope.spawn(move || {
                            for n in 0..10 {
                                let credentials = format!("nobody{guesser}-{n}:guess");
                                let basic =
                                    devmason_test_support::http::base64(credentials.as_bytes());
                                let head =
                                    format!("GET / HTTP/1.1\r\nAuthorization: Basic {basic}");
                                let _ = send(address, &head, b"");
                            }
                        });
                    }
                });
            }),
        ),
        (
            "patterns with many wildcards",
            "20 connections",
            Box::new(move |address| {
                let head = format!(
                    "GET /p1/builds?query=like(client.note,%22{like}%25b%22) HTTP/1.1\r\nX: y"
                );
                from_many(address, 20, &head, b"");
            }),
        ),
        (
            "sorting by many members",
            "20 connections, 100 members",
            Box::new(move |address| {
                let head = format!("GET /p1/builds?fields=id&sort={sort} HTTP/1.1\r\nX: y");
                from_many(address, 20, &head, b"");
            }),
        ),
    ]
}

impl Bench {
    /// Runs the attacks on a server, one after the other.
    pub(crate) fn attacks(&self) -> Result<Vec<Row>> {
        let url = self.database("attacked", Kind::Sqlite);
        let mut command = Command::new("sh");
        let limited = format!("ulimit -v {ADDRESS_SPACE}; exec \"$0\" \"$@\"");
        command.arg("-c").arg(limited).arg(&self.program);
        command.args(["--listen", "127.0.0.1:0", "--database-url", &url]);
        let server = Server::spawn(&mut command)?;
        for project in ["p1", "good"] {
            once(&server, &request("PUT", &format!("/{project}"), &[], r#"{"name":"bench"}"#), "")?;
        }
        let note = "a".repeat(60_000);
        for _ in 0..50 {
            let body = format!(r#"{{"success":true,"client":{{"note":"{note}"}}}}"#);
            once(&server, &request("POST", "/p1/builds", &[], &body), "")?;
        }
        let p99_without = good_p99(&server.address, Duration::from_secs(10))?;
        let mut rows = Vec::new();
        for (what, load, attack) in attacks() {
            let _ = writeln!(std::io::stderr(), "  {what}");
            let before = server.resident()?;
            let (address, is_over) = (server.address.clone(), Arc::new(AtomicBool::new(false)));
            let over = is_over.clone();
            let attacker = thread::spawn(move || {
                attack(&address);
                over.store(true, Ordering::Release);
            });
            let peak = Arc::new(Mutex::new(before));
            let (millis, _) = thread::scope(|scope| {
                let peak = &peak;
                let (server, is_over) = (&server, &is_over);
                let watch = scope.spawn(move || {
                    while !is_over.load(Ordering::Acquire) {
                        if let Ok(now) = server.resident() {
                            let mut peak = peak.lock().unwrap_or_else(PoisonError::into_inner);
                            *peak = peak.max(now);
                        }
                        thread::sleep(Duration::from_millis(20));
                    }
                });
                let mut millis = Vec::new();
                while !is_over.load(Ordering::Acquire) {
                    millis.push(good_p99(&server.address, Duration::from_secs(2)));
                }
                (millis, watch.join())
            });
            attacker.join().map_err(|_| anyhow!("an attacking thread failed"))?;
            let p99 = millis.into_iter().collect::<Result<Vec<f64>>>()?;
            let p99 = p99.into_iter().fold(0.0, f64::max);
            let rested = Instant::now();
            while rested.elapsed() < REST {
                thread::sleep(Duration::from_millis(200));
            }
            let peak = *peak.lock().unwrap_or_else(PoisonError::into_inner);
            rows.push(Row {
                what,
                load: load.to_owned(),
                before,
                peak,
                after: server.resident()?,
                p99_without,
                p99,
            });
        }
        Ok(rows)
    }
}

/// The address of the well-behaved client. It differs from the attackers', who may use up the
/// limits of one address.
const GOOD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The 99th percentile of response times, in milliseconds, for a client that alternately reports
/// builds and reads lists.
fn good_p99(address: &str, time: Duration) -> Result<f64> {
    let post = request("POST", "/good/builds", &[], &sample::document(1, None));
    let get = request("GET", "/good/builds?per_page=5&fields=id,success", &[], "");
    let requests = Rc::new(vec![post, get]);
    let outcome = load::run_from(GOOD, address, vec![requests; 2], Pace::Fixed(100.0), time)?;
    if outcome.refused > 0 {
        return Err(anyhow!("{} requests of the good client were refused", outcome.refused));
    }
    Ok(outcome.millis(0.99))
}
