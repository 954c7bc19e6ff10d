//! The measurements, each with its yardstick in the same rounds.

mod foreign;
mod logs;
mod memory;
mod parsing;
mod reads;
mod scale;

use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use devmason_test_support::Cluster;

use crate::fill::{self, Spread, slug};
use crate::load::{self, Outcome, Pace, request};
use crate::report::{Figure, Goal};
use crate::sample::{self, PROJECTS};
use crate::server::Server;
use crate::yardstick;

/// Encodes `bench:bench-pw`.
pub(crate) const CREDENTIALS: (&str, &str) = ("Authorization", "Basic YmVuY2g6YmVuY2gtcHc=");

/// The state shared by all scenarios.
pub(crate) struct Bench {
    pub(crate) program: PathBuf,
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
    pub(crate) cluster: Cluster,
    pub(crate) directory: tempfile::TempDir,
}

/// The members of a build in a list without outputs.
const FIELDS: &str = "fields=id,state,success,started,finished,tags,client,links";

pub(crate) type Requests = Rc<Vec<Vec<u8>>>;

/// The same requests for this many connections.
pub(crate) fn on(connections: usize, requests: &Requests) -> Vec<Requests> {
    vec![requests.clone(); connections]
}

pub(crate) fn get(path: &str) -> Vec<u8> {
    request("GET", path, &[], "")
}

/// POST requests for builds in all projects.
fn posts(headers: &[(&str, &str)], output_bytes: Option<usize>) -> Requests {
    let post = |n: usize| {
        let path = format!("/{}/builds", slug(1 + n as u64 % PROJECTS as u64));
        request("POST", &path, headers, &sample::document(n, output_bytes))
    };
    Rc::new((0..4 * PROJECTS).map(post).collect())
}

/// Sends one request; returns the value of a response header.
pub(crate) fn once(server: &Server, request: &[u8], header: &str) -> Result<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(&server.address)?;
    stream.write_all(request)?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
    while !answer.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut chunk)? {
            0 => break,
            n => answer.extend_from_slice(chunk.get(..n).unwrap_or_default()),
        }
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).unwrap_or_default();
    if !status.starts_with('2') {
        bail!("the server refused a request: {}", text.lines().next().unwrap_or_default());
    }
    let named = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case(header).then(|| value.to_owned())
    };
    Ok(text.lines().find_map(named).unwrap_or_default())
}

/// A rate with its yardstick.
fn figure(nth: &'static str, what: &str, ours: Vec<f64>, yardstick: Vec<f64>, goal: f64) -> Figure {
    let (what, goal) = (what.to_owned(), Goal::AtLeast(goal));
    Figure { nth, what, unit: "/s", ours, yardstick, goal }
}

impl Bench {
    pub(crate) fn database(&self, name: &str, kind: Kind) -> String {
        match kind {
            Kind::Postgres => self.cluster.create_database(name),
            Kind::Sqlite => {
                format!("sqlite:{}", self.directory.path().join(format!("{name}.db")).display())
            }
        }
    }

    /// A server with a fresh database, in which the user `bench` has registered the projects.
    pub(crate) fn server(&self, name: &str, kind: Kind) -> Result<(Server, String)> {
        let url = self.database(name, kind);
        let server = Server::start(&self.program, &url)?;
        for project in 1..=PROJECTS as u64 {
            let put = request(
                "PUT",
                &format!("/{}", slug(project)),
                &[CREDENTIALS],
                r#"{"name":"bench"}"#,
            );
            once(&server, &put, "")?;
        }
        Ok((server, url))
    }

    fn load(&self, server: &Server, lists: Vec<Requests>, pace: Pace) -> Result<Outcome> {
        let outcome = load::run(&server.address, lists.clone(), pace, self.time)?;
        if outcome.refused > 0 {
            let first = lists.first().and_then(|list| list.first()).cloned().unwrap_or_default();
            let first =
                String::from_utf8_lossy(&first).lines().next().unwrap_or_default().to_owned();
            return Err(anyhow!("{} requests like '{first}' were refused", outcome.refused));
        }
        Ok(outcome)
    }

    pub(crate) fn rate(
        &self,
        server: &Server,
        connections: usize,
        requests: &Requests,
    ) -> Result<f64> {
        Ok(self.load(server, on(connections, requests), Pace::Closed)?.rate)
    }

    /// The combined rate of these servers, each with its share of sixteen connections.
    fn rate_of_all(
        &self,
        servers: &[&Server],
        requests: &(dyn Fn() -> Requests + Sync),
    ) -> Result<f64> {
        let connections = 16 / servers.len().max(1);
        let rates: Result<Vec<f64>> = std::thread::scope(|scope| {
            let loads: Vec<_> = servers
                .iter()
                .map(|server| scope.spawn(move || self.rate(server, connections, &requests())))
                .collect();
            let joined = loads.into_iter().map(|load| load.join());
            joined.map(|rate| rate.unwrap_or_else(|_| Err(anyhow!("the load panicked")))).collect()
        });
        Ok(rates?.iter().sum())
    }

    fn pgbench(&self, url: &str, script: &str, clients: usize) -> Result<f64> {
        yardstick::pgbench(&self.cluster, url, script, clients, self.time)
    }

    /// The number that a query returns from PostgreSQL.
    pub(crate) fn number(&self, url: &str, query: &str) -> Result<f64> {
        let output =
            Command::new(self.cluster.program("psql")).args(["-At", "-c", query, url]).output()?;
        let number = String::from_utf8_lossy(&output.stdout).trim().parse();
        number.with_context(|| format!("psql: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// A bare server that returns the same response as ours to this path.
    fn bare(&self, server: &Server, path: &str, compress: bool) -> Result<Server> {
        let body = body_of(server, path)?;
        let file = self.directory.path().join("body");
        std::fs::write(&file, body)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("bare").arg(&file);
        if compress {
            command.arg("--compress");
        }
        Server::spawn(&mut command)
    }

    /// Goal 1: authenticated POSTs on PostgreSQL. Goal 10, first half: compared with anonymous ones.
    pub(crate) fn ingest_postgres(&self) -> Result<Vec<Figure>> {
        let (server, _) = self.server("ingest", Kind::Postgres)?;
        let (yard_server, yard) = self.server("ingest_yard", Kind::Postgres)?;
        drop(yard_server);
        yardstick::prepare(&self.cluster, &yard);
        let (authenticated, anonymous) = (posts(&[CREDENTIALS], None), posts(&[], None));
        let script = yardstick::insert_build();
        let mut ours: [Vec<f64>; 4] = Default::default();
        let mut yards: [Vec<f64>; 2] = Default::default();
        self.rate(&server, 16, &authenticated)?;
        self.pgbench(&yard, &script, 8)?;
        for _ in 0..self.rounds {
            yards[0].push(self.pgbench(&yard, &script, 8)?);
            for (at, connections) in [64, 16, 1].into_iter().enumerate() {
                ours[at].push(self.rate(&server, connections, &authenticated)?);
            }
            ours[3].push(self.rate(&server, 16, &anonymous)?);
            yards[1].push(self.pgbench(&yard, &script, 1)?);
        }
        let [c64, c16, c1, anonymous] = ours;
        let [yard8, yard1] = yards;
        Ok(vec![
            figure("1", "POST a build, PostgreSQL, 64 connections", c64, yard8.clone(), 2.0),
            figure("1", "POST a build, PostgreSQL, 16 connections", c16.clone(), yard8, 1.2),
            figure("1", "POST a build, PostgreSQL, 1 connection", c1, yard1, 0.9),
            figure("10", "authenticated POST vs. anonymous, 16 connections", c16, anonymous, 0.98),
        ])
    }

    /// Goal 2: authenticated POSTs on SQLite.
    pub(crate) fn ingest_sqlite(&self) -> Result<Vec<Figure>> {
        let (server, _) = self.server("ingest", Kind::Sqlite)?;
        let (yard_server, _) = self.server("ingest_yard", Kind::Sqlite)?;
        drop(yard_server);
        let yard = self.directory.path().join("ingest_yard.db");
        let requests = posts(&[CREDENTIALS], None);
        let (mut c64, mut c16, mut c1, mut yards) = (vec![], vec![], vec![], vec![]);
        for _ in 0..self.rounds {
            yards.push(yardstick::sqlite(&yard, self.time)?);
            c64.push(self.rate(&server, 64, &requests)?);
            c16.push(self.rate(&server, 16, &requests)?);
            c1.push(self.rate(&server, 1, &requests)?);
        }
        let figure = |what: &str, ours, goal| Figure {
            nth: "2",
            what: what.to_owned(),
            unit: "/s",
            ours,
            yardstick: yards.clone(),
            goal,
        };
        Ok(vec![
            figure("POST a build, SQLite, 64 connections", c64, Goal::AtLeast(0.5)),
            figure("POST a build, SQLite, 16 connections", c16, Goal::Shown),
            figure("POST a build, SQLite, 1 connection", c1, Goal::Shown),
        ])
    }

    /// Goal 3: steps of running builds, one build per connection.
    pub(crate) fn append(&self) -> Result<Vec<Figure>> {
        let (server, _) = self.server("append", Kind::Postgres)?;
        let (yard_server, yard) = self.server("append_yard", Kind::Postgres)?;
        let open = |server: &Server, project: u64| {
            let path = format!("/{}/builds", slug(project));
            once(
                server,
                &request("POST", &path, &[CREDENTIALS], r#"{"incremental":true}"#),
                "location",
            )
        };
        for project in 1..=16 {
            open(&yard_server, project)?;
        }
        drop(yard_server);
        let script = yardstick::append_step();
        let (mut c64, mut c16, mut yards) = (vec![], vec![], vec![]);
        for _ in 0..self.rounds {
            // New builds for each round, so that none grows long.
            let lists = (0..64)
                .map(|n| {
                    let path = open(&server, 1 + n % PROJECTS as u64)?;
                    let step =
                        |at| request("POST", &path, &[CREDENTIALS], &sample::step_document(at));
                    Ok(Rc::new((0..8).map(step).collect()))
                })
                .collect::<Result<Vec<Requests>>>()?;
            yards.push(self.pgbench(&yard, &script, 8)?);
            c16.push(
                self.load(&server, lists.iter().take(16).cloned().collect(), Pace::Closed)?.rate,
            );
            c64.push(self.load(&server, lists, Pace::Closed)?.rate);
        }
        let figure = |what: &str, ours, goal| Figure {
            nth: "3",
            what: what.to_owned(),
            unit: "/s",
            ours,
            yardstick: yards.clone(),
            goal: Goal::AtLeast(goal),
        };
        Ok(vec![
            figure("append a step, PostgreSQL, 16 connections", c16, 0.95),
            figure("append a step, PostgreSQL, 64 connections", c64, 1.3),
        ])
    }

    /// Goal 8: the longest waits, against pgbench's at the same rate. Goal 10, second half: while
    /// wrong passwords arrive.
    pub(crate) fn tail(&self) -> Result<Vec<Figure>> {
        let (server, _) = self.server("tail", Kind::Postgres)?;
        let (yard_server, yard) = self.server("tail_yard", Kind::Postgres)?;
        drop(yard_server);
        yardstick::prepare(&self.cluster, &yard);
        let script = yardstick::insert_build();
        let requests = posts(&[CREDENTIALS], None);
        let peak = self.rate(&server, 64, &requests)?;
        let (mut bare, mut p99, mut full_median, mut full_p99) = (vec![], vec![], vec![], vec![]);
        let (mut good, mut disturbed) = (vec![], vec![]);
        for _ in 0..self.rounds {
            let half = self.load(&server, on(64, &requests), Pace::Fixed(peak / 2.0))?;
            p99.push(half.millis(0.99));
            let (cluster, rate) = (&self.cluster, peak / 2.0);
            bare.push(yardstick::pgbench_p99(cluster, &yard, &script, 8, self.time, rate)?);
            let full = self.load(&server, on(64, &requests), Pace::Closed)?;
            full_median.push(full.millis(0.5));
            full_p99.push(full.millis(0.99));
            good.push(self.rate(&server, 16, &requests)?);
            let address = server.address.clone();
            let time = self.time;
            let wrong = std::thread::spawn(move || {
                let guess = |n| {
                    let name = format!("bench:{n}");
                    let header =
                        format!("Basic {}", devmason_test_support::http::base64(name.as_bytes()));
                    request("GET", "/", &[("Authorization", &header)], "")
                };
                let guesses: Requests = Rc::new((0..50).map(guess).collect());
                load::run(&address, on(8, &guesses), Pace::Fixed(50.0), time).is_ok()
            });
            disturbed.push(self.rate(&server, 16, &requests)?);
            wrong.join().map_err(|_| anyhow!("the guessing thread panicked"))?;
        }
        let milliseconds = |what: &str, ours, yardstick, goal| Figure {
            nth: "8",
            what: what.to_owned(),
            unit: "ms",
            ours,
            yardstick,
            goal: Goal::AtMost(goal),
        };
        Ok(vec![
            milliseconds("POST at half the peak, p99 vs. pgbench's at this rate", p99, bare, 1.5),
            milliseconds(
                "POST at the peak, 64 connections, p99 vs. median",
                full_p99,
                full_median,
                3.0,
            ),
            Figure {
                nth: "10",
                what: "POST during 50 wrong passwords per second, vs. without".to_owned(),
                unit: "/s",
                ours: disturbed,
                yardstick: good,
                goal: Goal::AtLeast(0.7),
            },
        ])
    }

    /// One project with 64 writers, compared with 64 connections spread over all projects.
    pub(crate) fn one_project(&self) -> Result<Vec<Figure>> {
        let (server, _) = self.server("one_project", Kind::Postgres)?;
        let spread = posts(&[CREDENTIALS], None);
        let single: Requests = Rc::new(
            (0..50)
                .map(|n| request("POST", "/p1/builds", &[CREDENTIALS], &sample::document(n, None)))
                .collect(),
        );
        let (mut ours, mut yardstick) = (vec![], vec![]);
        for _ in 0..self.rounds {
            yardstick.push(self.rate(&server, 64, &spread)?);
            ours.push(self.rate(&server, 64, &single)?);
        }
        Ok(vec![Figure {
            nth: "-",
            what: "64 writers to one project vs. 64 to many".to_owned(),
            unit: "/s",
            ours,
            yardstick,
            goal: Goal::AtLeast(1.0 / 1.2),
        }])
    }

    /// Goal 12: the repository's bulk path, compared with pgbench at sixteen builds per commit.
    pub(crate) fn bulk(&self) -> Result<Vec<Figure>> {
        let (yard_server, yard) = self.server("bulk_yard", Kind::Postgres)?;
        drop(yard_server);
        yardstick::prepare(&self.cluster, &yard);
        let script = yardstick::insert_builds();
        let (mut ours, mut yardstick) = (vec![], vec![]);
        for round in 0..self.rounds {
            yardstick.push(self.pgbench(&yard, &script, 2)? * 16.0);
            let url = self.database(&format!("bulk_{round}"), Kind::Postgres);
            ours.push(fill::fill(&url, 20_000, Spread::Even, 1224)?);
        }
        Ok(vec![Figure {
            nth: "12",
            what: "import through the repository, PostgreSQL".to_owned(),
            unit: "/s",
            ours,
            yardstick,
            goal: Goal::AtLeast(1.0),
        }])
    }
}

/// The database.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Postgres,
    Sqlite,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Sqlite => "SQLite",
        }
    }
}

fn thousands(n: u64) -> String {
    match n {
        1_000_000.. if n.is_multiple_of(1_000_000) => format!("{}M", n / 1_000_000),
        1_000.. if n.is_multiple_of(1_000) => format!("{}k", n / 1_000),
        _ => n.to_string(),
    }
}

/// The body of a resource.
fn body_of(server: &Server, path: &str) -> Result<String> {
    let response =
        devmason_test_support::http::Request::new(&server.address, "GET", path).try_send()?;
    if response.status != 200 {
        return Err(anyhow!("{path}: {}", response.status));
    }
    Ok(response.text())
}
