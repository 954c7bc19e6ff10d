//! Test cases: how fast reports arrive, how much they take, how fast they are read again.

use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use devmason_domain::{
    BuildId, ProjectId, Reporting, TagSet, TestDetails, TestResult, TestStatus, Timestamp, Tracking,
};
use devmason_repository::{
    Actor, Cases, NewBuild, NewProject, Options, PackedCases, Recorded, Registered, Repository,
    TestReport, open,
};

use crate::load::{self, Pace, request};
use crate::report::{Figure, Goal};
use crate::sample;
use crate::scenarios::{Bench, CREDENTIALS, Kind, get, on, once};
use crate::server::Server;
use crate::yardstick;

/// Number of cases of a report.
const REPORT: usize = 10_000;

/// A JUnit report with cases of stable names, of which one in a hundred failed.
fn junit(seed: usize, cases: usize) -> String {
    let case = |n: usize| {
        let millis = (n * 7 + seed * 131) % 4_000;
        let body = match (n + seed) % 100 {
            0 => format!(
                "<failure message=\"expected {n}, not {seed}\" type=\"AssertionError\">{}</failure>",
                sample::log(n + seed, 600)
            ),
            _ => String::new(),
        };
        format!(
            "<testcase classname=\"tests.unit.module_{}.TestCase\" name=\"test_does_what_it_should_{n}\" time=\"{}.{:03}\">{body}</testcase>\n",
            n / 100,
            millis / 1000,
            millis % 1000,
        )
    };
    let all: String = (0..cases).map(case).collect();
    format!("<testsuite name=\"pytest\" tests=\"{cases}\">{all}</testsuite>")
}

/// A case for the repository: the nth of its build.
fn case(seed: usize, n: usize) -> TestResult {
    TestResult {
        suite: format!("tests.unit.module_{}.TestCase", n / 100).into(),
        name: format!("test_does_what_it_should_{n}"),
        status: if (n + seed).is_multiple_of(100) {
            TestStatus::Failed
        } else {
            TestStatus::Passed
        },
        micros: Some(((n * 7 + seed * 131) % 4_000 * 1_000) as u64),
        failure: None,
        details: TestDetails::NONE.into(),
    }
}

/// A case with a file and a line, and one in ten with an output.
fn detailed(seed: usize, n: usize) -> TestResult {
    let mut result = case(seed, n);
    result.details.file = Some(format!("tests/unit/module_{}.py", n / 100));
    result.details.line = Some((n % 100 * 12 + 7) as u32);
    if n.is_multiple_of(10) {
        result.details.stdout = sample::log(n + seed, 500);
    }
    result
}

fn post(path: &str, body: &str) -> Vec<u8> {
    request("POST", path, &[CREDENTIALS, ("Content-Type", "application/xml")], body)
}

/// A repository with one project.
fn fresh(url: &str) -> Result<(std::sync::Arc<dyn Repository>, ProjectId)> {
    let repository = open(url, &Options::default())?;
    let new = NewProject {
        slug: "p1".parse()?,
        name: "p1".parse()?,
        reporting: Reporting::Anyone,
        tracking: Tracking::default(),
        repository: None,
        tags: TagSet::default(),
        owner: Actor::Nobody,
    };
    match repository.project_register(&new)? {
        Registered::New(project) => Ok((repository, project.id)),
        _ => Err(anyhow!("the project already exists")),
    }
}

/// The nth build of a project, without steps.
fn build(project: ProjectId, n: usize, cases: PackedCases) -> Result<NewBuild> {
    let started = Timestamp::from_parts(1_700_000_000_000_000 + n as i64 * 1_000_000, 0)
        .context("no such time")?;
    let mut new = sample::build(project, started, n, &[], Actor::Nobody, 1)?;
    new.report.steps.clear();
    new.test_report = TestReport { tests: Cases::Packed(cases), ..TestReport::default() };
    Ok(new)
}

fn store(repository: &dyn Repository, builds: &[NewBuild]) -> Result<()> {
    let outcomes = repository.build_record_many(builds)?;
    if outcomes.iter().any(|outcome| *outcome != Recorded::New) {
        bail!("a build was not stored");
    }
    Ok(())
}

fn figure(nth: &'static str, what: String, unit: &'static str, goal: Goal) -> Figure {
    Figure { nth, what, unit, ours: vec![], yardstick: vec![], goal }
}

impl Bench {
    /// All figures about test cases, on one database.
    pub(crate) fn cases(&self, kind: Kind) -> Result<Vec<Figure>> {
        let mut figures = self.case_ingest(kind)?;
        figures.extend(self.case_sizes(kind)?);
        figures.extend(self.case_reads(kind)?);
        figures.push(self.case_neighbours(kind)?);
        figures.push(self.case_memory(kind)?);
        Ok(figures)
    }

    /// Reports of ten thousand cases of known names: against rows in the old form, inserted by the
    /// database alone, and against only parsing the file.
    fn case_ingest(&self, kind: Kind) -> Result<Vec<Figure>> {
        let (server, _) = self.server(&format!("cases_{}", kind.name().to_lowercase()), kind)?;
        let reports: Vec<String> = (0..10).map(|seed| junit(seed, REPORT)).collect();
        let requests: Rc<Vec<Vec<u8>>> =
            Rc::new(reports.iter().map(|report| post("/p1/builds", report)).collect());
        for request in requests.iter() {
            once(&server, request, "")?;
        }
        let rows = |connections: usize| -> Result<f64> {
            match kind {
                Kind::Sqlite => {
                    yardstick::sqlite_cases(&self.directory.path().join("rows.db"), self.time)
                }
                Kind::Postgres => {
                    let url = self.database(&format!("rows_{connections}_{}", unique()), kind);
                    self.cluster.sql(&url, yardstick::CASE_TABLES);
                    let script = yardstick::insert_cases();
                    let rate =
                        yardstick::pgbench(&self.cluster, &url, &script, connections, self.time)?;
                    Ok(rate * REPORT as f64)
                }
            }
        };
        let named = |connections| format!("cases of JUnit reports, {connections}, {}", kind.name());
        let goal = Goal::AtLeast(10.0);
        let mut one = figure("C1", named("1 connection") + ", vs. rows", "/s", goal);
        let mut four = figure("C1", named("4 connections") + ", vs. rows", "/s", goal);
        let mut parsed =
            figure("C2", named("1 connection") + ", vs. parsing", "/s", Goal::AtLeast(0.5));
        for _ in 0..self.rounds {
            let rate = self.rate(&server, 1, &requests)? * REPORT as f64;
            one.ours.push(rate);
            one.yardstick.push(rows(1)?);
            four.ours.push(self.rate(&server, 4, &requests)? * REPORT as f64);
            four.yardstick.push(rows(4)?);
            parsed.ours.push(rate);
            let (start, mut cases) = (Instant::now(), 0);
            while start.elapsed() < self.time {
                for report in &reports {
                    cases +=
                        devmason_reports::Read::from_bytes(report.as_bytes(), None)?.cases.len();
                }
            }
            parsed.yardstick.push(cases as f64 / start.elapsed().as_secs_f64());
        }
        Ok(vec![one, four, parsed])
    }

    /// Bytes on disk of a million cases in builds of five thousand, names and indexes included.
    fn case_sizes(&self, kind: Kind) -> Result<Vec<Figure>> {
        const OF_BUILD: usize = 5_000;
        let builds = 200;
        let size = |make: fn(usize, usize) -> TestResult, name: &str| -> Result<(f64, f64)> {
            let url = self.database(
                &format!("size_{name}_{}", kind.name().to_lowercase().to_lowercase()),
                kind,
            );
            let (repository, project) = fresh(&url)?;
            let mut outputs = Vec::new();
            let empty = self.bytes_of(&url)?;
            for n in 0..builds {
                let tests: Vec<TestResult> = (0..OF_BUILD).map(|at| make(n, at)).collect();
                let text: String = tests.iter().map(|test| test.details.stdout.as_str()).collect();
                outputs.push(zstd::bulk::compress(text.as_bytes(), 3)?.len());
                let packed = repository.test_pack(project, &tests.into())?;
                store(&*repository, &[build(project, n, packed)?])?;
            }
            drop(repository);
            let cases = (builds * OF_BUILD) as f64;
            let alone = outputs.iter().sum::<usize>() as f64 / cases;
            Ok(((self.bytes_of(&url)? - empty) / cases, alone))
        };
        let (plain, _) = size(case, "plain")?;
        let (whole, outputs) = size(detailed, "detailed")?;
        let mut bytes =
            figure("C3", format!("size of a case, {}", kind.name()), "bytes", Goal::AtMost(6.0));
        bytes.ours.push(plain);
        let what = format!("with file, line and outputs, beyond the outputs, {}", kind.name());
        let mut more = figure("C4", what, "bytes", Goal::AtMost(12.0));
        more.ours.push(whole - outputs);
        Ok(vec![bytes, more])
    }

    /// The size of a database in bytes.
    fn bytes_of(&self, url: &str) -> Result<f64> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let conn = rusqlite::Connection::open(Path::new(path))?;
            conn.execute_batch("pragma wal_checkpoint(truncate)")?;
            return Ok(std::fs::metadata(path)?.len() as f64);
        }
        self.cluster.sql(url, "vacuum");
        self.number(url, "select pg_database_size(current_database())")
    }

    /// Pages of cases of a large and a small build, and of a test's history in a large and a small
    /// project.
    fn case_reads(&self, kind: Kind) -> Result<Vec<Figure>> {
        const OF_BUILD: usize = 5_000;
        let url = self.database(&format!("case_reads_{}", kind.name().to_lowercase()), kind);
        let (repository, project) = fresh(&url)?;
        let mut ids = Vec::new();
        for (n, cases) in [1_000, 100_000].into_iter().enumerate() {
            let tests: Vec<TestResult> = (0..cases).map(|at| case(n, at)).collect();
            let new = build(project, n, repository.test_pack(project, &tests.into())?)?;
            ids.push(new.id);
            store(&*repository, &[new])?;
        }
        drop(repository);
        let server = Server::start(&self.program, &url)?;
        let pages = |of: usize, cases: usize| -> Rc<Vec<Vec<u8>>> {
            let page = |n: usize| {
                let from = n * 7_919 % (cases - 100);
                get(&format!("/p1/builds/{}/tests?per_page=100&from={from}", ids[of]))
            };
            Rc::new((0..400).map(page).collect())
        };
        let what = format!("page of 100 of 100k cases, {}, vs. of 1k", kind.name());
        let mut page = figure("C5", what, "/s", Goal::AtLeast(0.5));
        for _ in 0..self.rounds {
            page.ours.push(self.rate(&server, 4, &pages(1, 100_000))?);
            page.yardstick.push(self.rate(&server, 4, &pages(0, 1_000))?);
        }
        drop(server);

        let filled = |cases: usize| -> Result<(Server, BuildId)> {
            let url =
                self.database(&format!("history_{cases}_{}", kind.name().to_lowercase()), kind);
            let (repository, project) = fresh(&url)?;
            // Each test fails in one of a hundred builds, so that none fails for long.
            let packed = (0..100).map(|seed| {
                let tests: Vec<TestResult> = (0..OF_BUILD).map(|at| case(seed, at)).collect();
                Ok(repository.test_pack(project, &tests.into())?)
            });
            let packed = packed.collect::<Result<Vec<PackedCases>>>()?;
            let of_build = |n: usize| packed.get(n % packed.len()).cloned().unwrap_or_default();
            let builds: Vec<usize> = (0..cases / OF_BUILD).collect();
            let mut last = None;
            for some in builds.chunks(100) {
                let new = some.iter().map(|n| build(project, *n, of_build(*n)));
                let new = new.collect::<Result<Vec<_>>>()?;
                last = new.last().map(|new| new.id);
                store(&*repository, &new)?;
            }
            drop(repository);
            if matches!(kind, Kind::Postgres) {
                // What PostgreSQL does by itself after a while, and would do during the measurement.
                self.cluster.sql(&url, "vacuum analyze");
                self.cluster.sql(&url, "checkpoint");
            }
            Ok((Server::start(&self.program, &url)?, last.context("no build")?))
        };
        let ((small, of_small), (large, of_large)) = (filled(1_000_000)?, filled(100_000_000)?);
        let histories: Rc<Vec<Vec<u8>>> = Rc::new(
            (0..400)
                .map(|n| {
                    let (suite, name) = (n * 12 / 100, n * 12);
                    get(&format!(
                        "/p1/tests/tests.unit.module_{suite}.TestCase::test_does_what_it_should_{name}?per_page=25"
                    ))
                })
                .collect(),
        );
        let what = format!("history of a test, 25 runs, 100M cases, {}, vs. 1M", kind.name());
        let mut history = figure("C6", what, "/s", Goal::AtLeast(0.9));
        for _ in 0..self.rounds {
            history.ours.push(self.rate(&large, 4, &histories)?);
            history.yardstick.push(self.rate(&small, 4, &histories)?);
        }
        let what = format!("insight of 5k cases, {}, vs. its list of 1000 tests", kind.name());
        let mut insight = figure("C9", what, "/s", Goal::AtLeast(0.1));
        let what = format!("insight at 100M cases, {}, vs. at 1M", kind.name());
        let mut scaled = figure("C10", what, "/s", Goal::AtLeast(0.9));
        for _ in 0..self.rounds {
            let lists = different(of_large, "tests?per_page=1000&from=", 4_000);
            let rate = self.rate(&large, 1, &different(of_large, "insight?from=", 10_000))?;
            insight.ours.push(rate);
            insight.yardstick.push(self.rate(&large, 1, &lists)?);
            scaled.ours.push(rate);
            let insights = different(of_small, "insight?from=", 10_000);
            scaled.yardstick.push(self.rate(&small, 1, &insights)?);
        }
        Ok(vec![page, history, insight, scaled])
    }

    /// Small reports while very large ones arrive.
    fn case_neighbours(&self, kind: Kind) -> Result<Figure> {
        let (server, _) =
            self.server(&format!("neighbours_{}", kind.name().to_lowercase()), kind)?;
        let small: Rc<Vec<Vec<u8>>> = Rc::new(
            (0..50)
                .map(|n| request("POST", "/p2/builds", &[CREDENTIALS], &sample::document(n, None)))
                .collect(),
        );
        let huge = short_junit(700_000);
        let what =
            format!("p99 of POSTs during reports of 700k cases, {}, vs. without", kind.name());
        let mut waits = figure("C7", what, "ms", Goal::AtMost(5.0));
        once(&server, &post("/p1/builds", &huge), "")?;
        for _ in 0..self.rounds {
            let time = self.time.max(Duration::from_secs(4));
            let alone = load::run(&server.address, on(2, &small), Pace::Fixed(100.0), time)?;
            waits.yardstick.push(alone.millis(0.99));
            let (address, body) = (server.address.clone(), post("/p1/builds", &huge));
            let large = std::thread::spawn(move || {
                let list = Rc::new(vec![body]);
                load::run(&address, vec![list], Pace::Closed, time).map(|outcome| outcome.refused)
            });
            let beside = load::run(&server.address, on(2, &small), Pace::Fixed(100.0), time)?;
            waits.ours.push(beside.millis(0.99));
            match large.join() {
                Ok(Ok(0)) => {}
                _ => bail!("a large report was refused"),
            }
        }
        Ok(waits)
    }

    /// The most memory while eight clients upload a hundred thousand cases each.
    fn case_memory(&self, kind: Kind) -> Result<Figure> {
        let (server, _) =
            self.server(&format!("case_memory_{}", kind.name().to_lowercase()), kind)?;
        let requests: Rc<Vec<Vec<u8>>> = Rc::new(vec![post("/p1/builds", &junit(1, 100_000))]);
        once(&server, &requests[0], "")?;
        let (address, time) = (server.address.clone(), self.time);
        let body = requests[0].clone();
        let load = std::thread::spawn(move || {
            load::run(&address, on(8, &Rc::new(vec![body])), Pace::Closed, time * 3)
        });
        let mut most = 0.0f64;
        while !load.is_finished() {
            most = most.max(server.memory()?);
            std::thread::sleep(Duration::from_millis(20));
        }
        match load.join() {
            Ok(Ok(outcome)) if outcome.refused == 0 => {}
            _ => bail!("a report was refused"),
        }
        let what = format!("memory (PSS), 8 clients upload 100k cases each, {}", kind.name());
        let mut memory = figure("C8", what, "MiB", Goal::AtMost(128.0));
        memory.ours.push(most);
        Ok(memory)
    }
}

/// Requests for a part of a build that differ in a number, and so many that none is cached.
fn different(build: BuildId, part: &str, many: usize) -> Rc<Vec<Vec<u8>>> {
    Rc::new((0..many).map(|n| get(&format!("/p1/builds/{build}/{part}{n}"))).collect())
}

/// A report whose cases say little, so that many fit into a request.
fn short_junit(cases: usize) -> String {
    let all: String =
        (0..cases).map(|n| format!("<testcase name=\"t{n}\" time=\"0.1\"/>\n")).collect();
    format!("<testsuite name=\"s\">{all}</testsuite>")
}

/// A number that no other call returns.
fn unique() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}
