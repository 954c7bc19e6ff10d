//! The server from the clients' point of view, running in this process on its own port.
//!
//! Every response in every test is checked against the API description: a status not described
//! there fails the test.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::net::TcpListener;
use std::thread::JoinHandle;

use devmason_api::{Settings, openapi, serve};
use devmason_domain::{Policy, Reading, Registration};
use devmason_hypermedia::map::ROWS;
use devmason_hypermedia::{Base, Resource};
use devmason_repository::{Options, open};
use devmason_test_support::http::{Request, Response};
use devmason_test_support::{Backend, TestDatabase, until};
use serde_json::Value;
use tokio::sync::oneshot;

mod auth;
mod bounds;
mod builds;
mod cache;
mod documents;
mod feeds;
mod http;
mod http2;
mod incremental;
mod insight;
mod lists;
mod logs;
mod objects;
mod pages;
mod projects;
mod reports;
mod users;
mod wild;
mod wire;

struct Server {
    address: String,
    database: TestDatabase,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn of(registration: Registration, reading: Reading, admins: &[&str]) -> Self {
        let admins: Vec<_> = admins.iter().map(|name| name.parse().unwrap()).collect();
        Self::with(|settings| settings.policy = Policy::new(registration, reading, &admins))
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::on(Backend::Sqlite, change)
    }

    fn on(backend: Backend, change: impl FnOnce(&mut Settings)) -> Self {
        let database = backend.database();
        // 4 is the lowest bcrypt cost.
        let mut settings = Settings { password_cost: 4, ..Settings::default() };
        change(&mut settings);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let repository = open(&database.url, &Options::default()).unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let stopped = async { stopped.await.unwrap_or(()) };
            actix_web::rt::System::new()
                .block_on(serve(listener, settings, repository, stopped))
                .unwrap();
        });
        Self { address, database, stop: Some(stop), thread: Some(thread) }
    }

    fn request(&self, method: &str, path: &str) -> Request {
        Request::new(&self.address, method, path)
    }

    fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path))
    }

    fn put(&self, path: &str, body: &str) -> Answer {
        self.send(self.request("PUT", path).json(body))
    }

    fn post(&self, path: &str, body: &str) -> Answer {
        self.send(self.request("POST", path).json(body))
    }

    fn delete(&self, path: &str) -> Answer {
        self.send(self.request("DELETE", path))
    }

    fn as_user<'a>(&'a self, username: &'a str) -> User<'a> {
        User { server: self, username }
    }

    /// Registers a project without an owner.
    fn project(&self, slug: &str) {
        assert_eq!(self.put(&format!("/{slug}"), &format!(r#"{{"name":"{slug}"}}"#)).status, 201);
    }

    /// Reports a build; returns its path.
    fn build(&self, project: &str, body: &str) -> String {
        let answer = self.post(&format!("/{project}/builds"), body);
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.header("location").to_owned()
    }

    fn send(&self, request: Request) -> Answer {
        let response = request.send();
        let (method, target) = request.line();
        self.is_described(method, target, &response);
        Answer { response, address: self.address.clone() }
    }

    fn is_described(&self, method: &str, target: &str, response: &Response) {
        let path = target.split('?').next().unwrap_or_default();
        let Ok(resource) = Resource::parse(path) else { return };
        let method = if method == "HEAD" { "get".to_owned() } else { method.to_lowercase() };
        let described = openapi("", "")["paths"][resource.pattern()][&method]["responses"]
            [response.status.to_string()]
        .is_object();
        assert!(
            described || response.status == 405,
            "{method} {} is not said to answer {}",
            resource.pattern(),
            response.status
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A user whose password is the username followed by `-pw`.
struct User<'a> {
    server: &'a Server,
    username: &'a str,
}

impl User<'_> {
    fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        let request = self
            .server
            .request(method, path)
            .basic(self.username, &format!("{}-pw", self.username));
        self.server.send(if body.is_empty() { request } else { request.json(body) })
    }
}

struct Answer {
    response: Response,
    address: String,
}

impl std::ops::Deref for Answer {
    type Target = Response;
    fn deref(&self) -> &Response {
        &self.response
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text())
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    fn message(&self) -> String {
        let json = self.json();
        assert_eq!(json["status_code"], self.status, "{json}");
        assert!(json["payload"].is_object(), "{json}");
        json["message"].as_str().unwrap().to_owned()
    }

    /// The path of the link with this relation.
    fn link(&self, rel: &str) -> Option<String> {
        let json = self.json();
        let link = json["links"].as_array().unwrap().iter().find(|link| link["rel"] == rel)?;
        Some(
            link["href"]
                .as_str()
                .unwrap()
                .strip_prefix(&format!("http://{}", self.address))
                .unwrap()
                .to_owned(),
        )
    }

    fn methods(&self, rel: &str) -> String {
        let json = self.json();
        let link =
            json["links"].as_array().unwrap().iter().find(|link| link["rel"] == rel).unwrap();
        link["allowed_methods"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m.as_str().unwrap())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The whole document. Values that differ from run to run are checked and then replaced by names.
    fn shown(&self) -> String {
        let text = serde_json::to_string_pretty(&self.json()).unwrap();
        let text = text.replace(&format!("http://{}", self.address), "http://server");
        let mut shown = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find('0') {
            match rest.get(at..at + 36).and_then(|id| uuid::Uuid::parse_str(id).ok()) {
                Some(id) => {
                    assert_eq!(id.get_version_num(), 7);
                    shown += &rest[..at];
                    shown += "[id]";
                    rest = &rest[at + 36..];
                }
                None => {
                    shown += &rest[..=at];
                    rest = &rest[at + 1..];
                }
            }
        }
        shown + rest
    }
}

const BUILD: &str = r#"{
    "success": true,
    "started": "Tue, 20 Oct 2009 10:20:00 -0500",
    "finished": "Tue, 20 Oct 2009 10:22:00 -0500",
    "tags": ["linux", "python-3.11"],
    "client": {"host": "example.com", "user": "http://example.com/", "arch": "macosx-10.5-i386", "cores": 8},
    "results": [{
        "success": true, "name": "checkout", "output": "done\u0000\u001b[0m", "errout": "",
        "started": "Tue, 20 Oct 2009 10:20:00 -0500", "finished": "Tue, 20 Oct 2009 10:21:00 -0500", "exit": 0
    }]
}"#;
