//! The behavior of every store: each test runs on SQLite and on PostgreSQL.
#![expect(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "tests")]

use std::sync::Arc;

use devmason_domain::query::{BUILDS, Selection, parse_sort, parse_where};
use devmason_domain::*;
use devmason_repository::*;
use devmason_test_support::{Backend, TestDatabase};
use uuid::Uuid;

mod builds;
mod cases;
mod components;
mod foreign;
mod issues;
mod lists;
mod logs;
mod others;
mod parity;
mod plans;
mod queries;
mod search;
mod sightings;
mod tracks;

/// A repository of its own for each test. `Deref`s to the port.
struct Store {
    repository: Arc<dyn Repository>,
    database: TestDatabase,
}

impl std::ops::Deref for Store {
    type Target = dyn Repository;
    fn deref(&self) -> &Self::Target {
        &*self.repository
    }
}

impl Store {
    fn new(backend: Backend) -> Self {
        let database = backend.database();
        Self { repository: open(&database.url, &Options::default()).unwrap(), database }
    }

    fn project(&self, slug: &str) -> Project {
        self.project_of(slug, Actor::Nobody)
    }

    fn project_of(&self, slug: &str, owner: Actor) -> Project {
        let new = NewProject {
            slug: slug.parse().unwrap(),
            name: slug.parse().unwrap(),
            reporting: Reporting::Anyone,
            tracking: Tracking::default(),
            repository: None,
            tags: TagSet::default(),
            owner,
        };
        match self.project_register(&new).unwrap() {
            Registered::New(project) => *project,
            other => panic!("{other:?}"),
        }
    }

    fn user(&self, name: &str) -> Account {
        self.user_create(&account(name)).unwrap().unwrap()
    }

    fn record(&self, build: NewBuild) -> Recorded {
        // Writers of one project wait for each other, on a busy machine longer than the lock timeout. The
        // server retries such writes, too.
        loop {
            match self.build_record_many(std::slice::from_ref(&build)) {
                Err(Error::Locked(_)) => {}
                recorded => return recorded.unwrap().remove(0),
            }
        }
    }

    fn find(&self, project: &Project, id: BuildId) -> Build {
        self.build_find(project.id, &id.to_string().parse().unwrap()).unwrap().unwrap()
    }

    fn steps(&self, build: &Build) -> Vec<Step> {
        self.step_list(std::slice::from_ref(build)).unwrap().remove(0).unwrap()
    }

    fn page(&self, scope: &Scope, start: Start, limit: u64) -> Vec<BuildId> {
        let query =
            BuildQuery { scope: scope.clone(), selection: Selection::default(), start, limit };
        self.build_list(&query).unwrap().builds.iter().map(|build| build.id).collect()
    }

    fn select(&self, scope: &Scope, conditions: &str, sort: &str) -> Vec<BuildId> {
        let selection = Selection {
            filter: parse_where(&BUILDS, conditions).unwrap(),
            sort: parse_sort(&BUILDS, sort).unwrap(),
        };
        let query =
            BuildQuery { scope: scope.clone(), selection, start: Start::Offset(0), limit: 100 };
        self.build_list(&query).unwrap().builds.iter().map(|build| build.id).collect()
    }
}

fn account(name: &str) -> NewAccount {
    NewAccount {
        username: name.parse().unwrap(),
        password_hash: PasswordHash::from_stored(format!("hash of {name}")),
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn step(name: &str, success: bool) -> Step {
    Step {
        name: name.parse().unwrap(),
        success,
        started: at("Tue, 20 Oct 2009 10:20:00 -0500"),
        finished: at("Tue, 20 Oct 2009 10:21:00 +0930"),
        output: format!("output of {name}"),
        errout: String::new(),
        extras: JsonObject::default(),
        bad_cases: Some(0),
        log: devmason_domain::StepLog::Absent,
    }
}

fn tags(words: &[&str]) -> TagSet {
    words.iter().map(|word| word.parse().unwrap()).collect()
}

/// A finished build with one step, received now.
fn build(project: &Project, started: &str, words: &[&str]) -> NewBuild {
    let (started, received) = (at(started), Timestamp::now());
    NewBuild {
        project: project.id,
        id: BuildId::assign(started, received),
        key: None,
        sender: Actor::Nobody,
        report: Report {
            started,
            received,
            outcome: Outcome::Finished {
                success: true,
                finished: at("Tue, 20 Oct 2009 10:22:00 -0500"),
            },
            tags: tags(words),
            client: ClientRecord::default(),
            steps: vec![step("checkout", true)],
            digest: None,
        },
        variant_by: project.tracking.variant_by.clone(),
        components: Vec::new(),
        test_report: TestReport::default(),
        claim: None,
    }
}

/// Uploads are kept for one day, up to 10 kB in total.
const KEEP: Retention = Retention { micros: 86_400_000_000, bytes: 10_000 };

fn running(project: &Project) -> NewBuild {
    let mut new = build(project, "2026-01-01T00:00:00Z", &[]);
    new.report.outcome = Outcome::Running;
    new.report.steps.clear();
    new
}

fn claim(scope: u8, body: u8) -> Option<Claim> {
    let outcome = format!("/p/builds/{scope}-{body}");
    Some(Claim { scope: Digest([scope; 32]), body: Digest([body; 32]), outcome })
}

/// Makes each function a test on each database.
macro_rules! conformance {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $name() {
                super::$name(&crate::Store::new(devmason_test_support::Backend::Sqlite));
            })+
        }
        mod postgres {
            $(#[test]
            fn $name() {
                super::$name(&crate::Store::new(devmason_test_support::Backend::Postgres));
            })+
        }
    };
}
use conformance;
