//! Stories: builds of a project, told in a few letters.

use serde_json::json;

use crate::*;

/// A project with builds that started one minute after another.
pub(super) struct Story {
    pub(super) server: Server,
}

/// Tests as `a:P b:F`. P passed, L passed when repeated, S skipped, F failed, G failed with another text.
pub(super) fn tests(letters: &str) -> Vec<Value> {
    let test = |word: &str| {
        let (name, letter) = word.split_once(':').unwrap();
        let (status, message) = match letter {
            "P" => ("passed", None),
            "L" => ("flaky", Some("port 4711 is taken")),
            "S" => ("skipped", None),
            "F" => ("failed", Some("port 4712 is taken")),
            "G" => ("failed", Some("no such file")),
            _ => panic!("{word}"),
        };
        let failure = message.map(|message| json!({"type": "E", "message": message}));
        json!({"suite": "s", "name": name, "status": status, "failure": failure})
    };
    letters.split_whitespace().map(test).collect()
}

impl Story {
    pub(super) fn new(backend: Backend) -> Self {
        let server = Server::on(backend, |_| {});
        server.as_user("ann").send("PUT", "/pony", r#"{"name":"Pony"}"#);
        Self { server }
    }

    /// Reports a build of a branch with a step that ran these tests.
    pub(super) fn build(&self, id: &str, minute: usize, branch: &str, letters: &str) {
        self.say(id, minute, json!({"branch": branch}), letters);
    }

    /// Reports a build with this client record.
    pub(super) fn say(&self, id: &str, minute: usize, client: Value, letters: &str) {
        let tests = tests(letters);
        let is_bad = |test: &Value| test["status"] == "failed";
        let success = !tests.iter().any(is_bad);
        let step = json!({"name": "test", "success": success, "tests": tests});
        self.steps(id, minute, client, success, json!([step]));
    }

    pub(super) fn steps(
        &self,
        id: &str,
        minute: usize,
        client: Value,
        success: bool,
        steps: Value,
    ) {
        let started = format!(
            "2026-01-{:02}T{:02}:{:02}:00Z",
            1 + minute / 1440,
            minute / 60 % 24,
            minute % 60
        );
        let body = json!({
            "success": success, "started": started, "finished": started, "client": client,
            "results": steps,
        });
        let path = format!("/pony/builds/{id}");
        let answer = self.server.as_user("ann").send("PUT", &path, &body.to_string());
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    pub(super) fn ask(&self, id: &str, query: &str) -> Value {
        let answer = self.server.get(&format!("/pony/builds/{id}/insight{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

/// The failures as `name class`, and the verdict.
pub(super) fn told(of: &Value) -> (String, String) {
    let failures = of["failures"].as_array().unwrap().iter().map(|failure| {
        let name = failure["name"].as_str().unwrap_or("itself").trim_start_matches("s::");
        format!("{name} {}", failure["class"].as_str().unwrap())
    });
    let reasons = of["gate"]["reasons"].as_array().unwrap();
    let rules: Vec<&str> = reasons.iter().map(|reason| reason["rule"].as_str().unwrap()).collect();
    let verdict = of["gate"]["verdict"].as_str().unwrap();
    let verdict = if rules.is_empty() {
        verdict.to_owned()
    } else {
        format!("{verdict}({})", rules.join(","))
    };
    (failures.collect::<Vec<_>>().join(", "), verdict)
}

pub(super) fn told_as(failures: &str, verdict: &str) -> (String, String) {
    (failures.to_owned(), verdict.to_owned())
}

/// Runs a test with each database.
macro_rules! stories {
    ($($name:ident,)+) => {
        $(
            mod $name {
                use super::*;
                #[test]
                fn with_sqlite() {
                    super::$name(&Story::new(Backend::Sqlite));
                }
                #[test]
                fn with_postgres() {
                    super::$name(&Story::new(Backend::Postgres));
                }
            }
        )+
    };
}
pub(super) use stories;
