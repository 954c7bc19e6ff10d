//! The program as users run it, against the real server and against servers that fail in every way.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use devmason_test_support::http::Request;
use devmason_test_support::{Backend, TestDatabase, until};
use serde_json::Value;
use tokio::sync::oneshot;

mod accounts;
mod away;
mod completions;
mod gate;
mod killed;
mod refused;
mod report;
mod running;
mod settings;
mod shown;
mod spool;
mod steps;
mod unreported;

/// A report of two cases, one of which failed.
const JUNIT: &str = r#"<testsuite name="s" tests="2"><testcase classname="a" name="x"/><testcase classname="a" name="y"><failure message="no"/></testcase></testsuite>"#;

/// The real server, within this process.
struct Server {
    address: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// On its own port, with a project `pony` without an owner.
    fn new(database: &TestDatabase) -> Self {
        Self::at("127.0.0.1:0", database)
    }

    fn at(address: &str, database: &TestDatabase) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let options = devmason_repository::Options::default();
        let repository = devmason_repository::open(&database.url, &options).unwrap();
        let settings =
            devmason_api::Settings { password_cost: 4, ..devmason_api::Settings::default() };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let stopped = async { stopped.await.unwrap_or(()) };
            actix_web::rt::System::new()
                .block_on(devmason_api::serve(listener, settings, repository, stopped))
                .unwrap();
        });
        let server = Self { address, stop: Some(stop), thread: Some(thread) };
        if Request::new(&server.address, "GET", "/pony").send().status == 200 {
            return server;
        }
        let made = Request::new(&server.address, "PUT", "/pony").json(r#"{"name":"pony"}"#).send();
        assert_eq!(made.status, 201, "{}", made.text());
        server
    }

    fn get(&self, path: &str) -> Value {
        let answer = Request::new(&self.address, "GET", path).send();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_str(&answer.text()).unwrap()
    }

    /// The builds of the project, newest first.
    fn builds(&self) -> Vec<Value> {
        self.get("/pony/builds")["builds"].as_array().unwrap().clone()
    }

    /// The only build.
    fn build(&self) -> Value {
        let builds = self.builds();
        assert_eq!(builds.len(), 1, "{builds:#?}");
        self.get(&format!("/pony/builds/{}", builds[0]["id"].as_str().unwrap()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn database() -> TestDatabase {
    Backend::Sqlite.database()
}

/// A home directory with its own settings, credentials and spool.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// The program, isolated from this machine's settings, for the server at that address and the
    /// project `pony`.
    fn devmason(&self, address: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_devmason"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path())
            .env("DEVMASON_SERVER_URL", format!("http://{address}"))
            .env("DEVMASON_PROJECT", "pony")
            .env("DEVMASON_WAIT", "2")
            .current_dir(self.path())
            .stdin(Stdio::null())
            .args(arguments);
        command
    }

    fn run(&self, address: &str, arguments: &[&str]) -> Output {
        self.devmason(address, arguments).output().unwrap()
    }

    /// The number of requests still queued.
    fn waiting(&self) -> usize {
        fn entries(dir: &Path) -> usize {
            let Ok(files) = std::fs::read_dir(dir) else { return 0 };
            files
                .map(|file| file.unwrap().path())
                .map(|path| {
                    if path.is_dir() {
                        entries(&path)
                    } else {
                        usize::from(path.extension().is_some_and(|it| it == "entry"))
                    }
                })
                .sum()
        }
        entries(&self.path().join(".local/state/devmason/spool"))
    }
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{output:?}"))
}

/// A server that treats every connection alike, on its own port, until the test ends.
fn fake(answer: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = std::sync::Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

/// Reads a request to the end of its body.
fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let head = request.windows(4).position(|end| end == b"\r\n\r\n");
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if request.len() >= head + 4 + length {
                return request;
            }
        }
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => request.extend_from_slice(&buffer[..count]),
            _ => return request,
        }
    }
}

/// An address that refuses connections.
fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// The queue directory of a build.
fn spooled(home: &Home, build: &str) -> std::path::PathBuf {
    let folders = std::fs::read_dir(home.path().join(".local/state/devmason/spool")).unwrap();
    let is_of = |folder: &std::path::PathBuf| {
        let about = std::fs::read_to_string(folder.join("about.json")).unwrap_or_default();
        about.contains(&format!("/builds/{build}\""))
    };
    folders.map(|entry| entry.unwrap().path()).find(is_of).unwrap()
}
