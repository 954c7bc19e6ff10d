//! The real server, started as users start it, with each database.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use devmason_test_support::http::{Request, Response};
use devmason_test_support::{Backend, TestDatabase};
use serde_json::Value;

mod crash;
mod crawl;
mod dialogues;
mod process;
mod several;
mod trouble;

/// A server process with its own port. Killed when dropped.
struct Server {
    address: String,
    child: Child,
    scheme: String,
    /// Its log: a file, because an unread pipe would block it.
    log: tempfile::NamedTempFile,
}

/// The server's program, isolated from this machine's settings.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_devmason-server"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DEVMASON_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs the program to its end.
fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

impl Server {
    fn start(database: &TestDatabase, arguments: &[&str]) -> Self {
        Self::spawn(
            program()
                .args(["--listen", "127.0.0.1:0", "--database-url", &database.url])
                .args(arguments),
        )
    }

    /// Starts it and waits until it reports that it is ready.
    fn spawn(command: &mut Command) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut child =
            command.stdout(Stdio::piped()).stderr(log.reopen().unwrap()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some((_, url)) = line.trim().split_once(" is ready at ") else {
            panic!(
                "the server did not start: {line}{}",
                std::fs::read_to_string(log.path()).unwrap()
            );
        };
        let (scheme, address) = url.split_once("://").unwrap();
        Self { address: address.to_owned(), scheme: scheme.to_owned(), child, log }
    }

    fn request(&self, method: &str, path: &str) -> Request {
        Request::new(&self.address, method, path)
    }

    fn get(&self, path: &str) -> Response {
        self.request("GET", path).send()
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).text()).unwrap()
    }

    /// Sends a document as a user (with the password NAME-pw) or anonymously.
    fn send(&self, user: &str, method: &str, path: &str, body: &str) -> Response {
        let request = self.request(method, path);
        let request =
            if user.is_empty() { request } else { request.basic(user, &format!("{user}-pw")) };
        if body.is_empty() { request.send() } else { request.json(body).send() }
    }

    fn signal(&self, signal: &str) {
        devmason_test_support::signal(signal, &[self.child.id()]);
    }

    /// Waits for the exit; returns the exit code and the log.
    fn wait(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        (code, std::fs::read_to_string(self.log.path()).unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Expands each function into one test per database.
macro_rules! with_each_database {
    ($(fn $name:ident($database:ident: &TestDatabase) $body:block)*) => {
        mod suite {
            use super::super::*;
            #[allow(unused_imports, reason = "not every module has something of its own")]
            use super::*;
            $(pub(super) fn $name($database: &TestDatabase) $body)*
        }
        mod sqlite {
            $(#[test] fn $name() { super::suite::$name(&devmason_test_support::Backend::Sqlite.database()); })*
        }
        mod postgres {
            $(#[test] fn $name() { super::suite::$name(&devmason_test_support::Backend::Postgres.database()); })*
        }
    };
}
use with_each_database;
