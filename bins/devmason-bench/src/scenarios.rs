//! The measurements, each with its yardstick in the same rounds.

use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use devmason_reports::Format;
use devmason_test_support::Cluster;

use crate::fill::{self, Spread, build_id, slug};
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

    /// Goals 4, 5 and 11: reads of builds and of pages.
    pub(crate) fn reads(&self) -> Result<Vec<Figure>> {
        const BUILDS: u64 = 20_000;
        let url = self.database("reads", Kind::Postgres);
        fill::fill(&url, BUILDS, Spread::Even, 1224)?;
        self.cluster.sql(&url, "vacuum analyze");
        let server = Server::start(&self.program, &url)?;
        let path = |n: u64| format!("/{}/builds/{}", slug(1 + n % PROJECTS as u64), build_id(n));
        // More builds than the response cache holds.
        let many: Requests =
            Rc::new((1..=BUILDS).map(|n| get(&path(n * 7919 % BUILDS + 1))).collect());
        let one: Requests = Rc::new((1..=16).map(|n| get(&path(n))).collect());
        let etag = once(&server, &get(&path(1)), "etag")?;
        let known: Requests =
            Rc::new(vec![request("GET", &path(1), &[("If-None-Match", &etag)], "")]);
        // Pages at many positions, to miss the cache, and one page repeatedly.
        let pages = |query: &str| -> Requests {
            let page = |n: u64| {
                let after = build_id(BUILDS - n % 300 * PROJECTS as u64);
                get(&format!("/p1/builds?after={after}&page={}{query}", 2 + n / 300))
            };
            Rc::new((0..6000).map(page).collect())
        };
        let without_outputs = format!("&{FIELDS}");
        let (with, without) = (pages(""), pages(&without_outputs));
        let again: Requests = Rc::new(vec![get(&format!("/p1/builds?{FIELDS}"))]);
        let zipped: Requests = Rc::new(
            (1..=16)
                .map(|n| request("GET", &path(n), &[("Accept-Encoding", "gzip")], ""))
                .collect(),
        );
        let others = [Server::start(&self.program, &url)?, Server::start(&self.program, &url)?];
        let three = [&server, &others[0], &others[1]];
        let again_of_three = || -> Requests { Rc::new((1..=16).map(|n| get(&path(n))).collect()) };
        let bare = self.bare(&server, &path(1), false)?;
        let bare_zipped = self.bare(&server, &path(1), true)?;
        let mut of: [Vec<f64>; 14] = Default::default();
        for _ in 0..self.rounds {
            let rates = [
                self.pgbench(&url, &yardstick::read_build(BUILDS), 8)?,
                self.rate(&server, 16, &many)?,
                self.rate(&bare, 16, &one)?,
                self.rate(&server, 16, &one)?,
                self.rate(&server, 16, &known)?,
                self.rate_of_all(&three, &again_of_three)?,
                self.pgbench(&url, &yardstick::read_page(1, false), 8)?,
                self.rate(&server, 16, &without)?,
                self.pgbench(&url, &yardstick::read_page(1, true), 8)?,
                self.rate(&server, 16, &with)?,
                self.rate(&server, 16, &again)?,
                self.rate(&bare_zipped, 16, &zipped)?,
            ];
            for (figures, rate) in of.iter_mut().zip(rates) {
                figures.push(rate);
            }
            let zipped = self.load(&server, on(16, &zipped), Pace::Closed)?;
            of[12].push(zipped.rate);
            of[13].push(zipped.millis(0.5));
        }
        let [
            point,
            build,
            bare,
            cached,
            unchanged,
            of_three,
            rows,
            without,
            page,
            with,
            again,
            bare_zip,
            zip,
            median,
        ] = of;
        Ok(vec![
            figure("4", "GET a build from the database", build, point, 0.75),
            figure("4", "GET a build again", cached, bare.clone(), 0.7),
            figure("4", "GET a build, unchanged (304)", unchanged, bare.clone(), 0.7),
            Figure {
                goal: Goal::Shown,
                ..figure("4", "GET a build again, from three servers", of_three, bare, 0.7)
            },
            figure("5", "page of 25 without outputs", without, rows.clone(), 0.7),
            figure("5", "the same page again", again, rows, 0.7),
            figure("5", "page of 25 with outputs", with, page, 0.85),
            figure("11", "GET a build, gzip", zip, bare_zip, 0.5),
            Figure {
                nth: "11",
                what: "median latency of the above".to_owned(),
                unit: "ms",
                ours: median,
                yardstick: Vec::new(),
                goal: Goal::AtMost(3.0),
            },
        ])
    }

    /// Goals 6 and 7: the cost of reads and posts at each size, compared with the first size.
    pub(crate) fn scale(&self, sizes: &[u64], kind: Kind) -> Result<Vec<Figure>> {
        let mut servers = Vec::new();
        let mut figures = Vec::new();
        for size in sizes {
            let url = self.database(&format!("scale_{size}"), kind);
            let filled = fill::fill(&url, *size, Spread::FirstHasHalf, 64)?;
            if matches!(kind, Kind::Postgres) {
                self.cluster.sql(&url, "vacuum analyze");
            }
            let start = std::time::Instant::now();
            let server = Server::start(&self.program, &url)?;
            let ready = start.elapsed().as_secs_f64();
            let shown = |what: &str, unit, value, goal| Figure {
                nth: "6",
                what: format!("{what}, {} builds, {kind:?}", thousands(*size)),
                unit,
                ours: vec![value],
                yardstick: Vec::new(),
                goal,
            };
            figures.push(shown("filled through the repository", "/s", filled, Goal::Shown));
            figures.push(shown("start-up to ready", "s", ready, Goal::AtMost(1.0)));
            servers.push((*size, server));
        }
        let deep = |server: &Server| -> Result<String> {
            // The link of a page far into the list: its position is the id of the previous build.
            let body = body_of(server, "/p1/builds?page=40&per_page=25&fields=id")?;
            let document: serde_json::Value = serde_json::from_str(&body)?;
            let links = document["links"].as_array().context("no links")?;
            let next = links.iter().find(|link| link["rel"] == "next").context("no next page")?;
            let href = next["href"].as_str().context("no href")?;
            Ok(href.splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap_or_default())
        };
        let tagged = |tags: &str| format!("/p1/tags/{tags}?{FIELDS}");
        let cases: Vec<(&str, &str, Goal)> = vec![
            ("6", "first page", Goal::AtLeast(0.9)),
            ("6", "a page 1,000 builds deep, by link", Goal::AtLeast(0.9)),
            ("6", "latest", Goal::AtLeast(0.9)),
            ("6", "count (a page of one)", Goal::AtLeast(0.9)),
            ("6", "GET a build", Goal::AtLeast(0.9)),
            ("6", "GET a build, unchanged (304)", Goal::AtLeast(0.9)),
            ("6", "a user's builds", Goal::AtLeast(0.9)),
            ("6", "POST a build", Goal::AtLeast(0.9)),
            ("7", "tags common;even", Goal::AtLeast(0.12)),
            ("7", "tags rare;common", Goal::AtLeast(0.12)),
            ("7", "tags common;old", Goal::AtLeast(0.12)),
            ("7", "tags early;late (disjoint halves)", Goal::AtLeast(0.12)),
            ("7", "tags even;odd (alternating), a page", Goal::Shown),
            ("7", "tags common;even;ten-2", Goal::AtLeast(0.08)),
        ];
        let mut rates = vec![vec![Vec::new(); cases.len()]; servers.len()];
        for _ in 0..self.rounds {
            for ((size, server), rates) in servers.iter().zip(&mut rates) {
                let build = |n: u64| format!("/p1/builds/{}", build_id(n / 2 * 2));
                let builds: Requests =
                    Rc::new((0..5000).map(|n| get(&build(2 + n * 7919 % (size - 2)))).collect());
                let etag = once(server, &get(&build(2)), "etag")?;
                let known: Requests =
                    Rc::new(vec![request("GET", &build(2), &[("If-None-Match", &etag)], "")]);
                // Each differs slightly, so that no response comes from the cache.
                let path = |path: &str| -> Requests {
                    let mark = if path.contains('?') { '&' } else { '?' };
                    Rc::new((0..3000).map(|n| get(&format!("{path}{mark}n={n}"))).collect())
                };
                let requests = [
                    path(&format!("/p1/builds?{FIELDS}")),
                    path(&deep(server)?),
                    path("/p1/builds/latest"),
                    path("/p1/builds?per_page=1&fields=id"),
                    builds,
                    known,
                    path(&format!("/users/filler/builds?{FIELDS}")),
                    posts(&[CREDENTIALS], None),
                    path(&tagged("common;even")),
                    path(&tagged("rare;common")),
                    path(&tagged("common;old")),
                    path(&tagged("early;late")),
                    path(&tagged("even;odd")),
                    path(&tagged("common;even;ten-2")),
                ];
                for (rates, requests) in rates.iter_mut().zip(&requests) {
                    rates.push(self.rate(server, 4, requests)?);
                }
            }
        }
        let first = rates.first().cloned().unwrap_or_default();
        for ((size, _), of_size) in servers.iter().zip(&rates).skip(1) {
            for (at, (nth, what, goal)) in cases.iter().enumerate() {
                // Tag filters are compared with the unfiltered page at the same size.
                let yardstick = if *nth == "7" { &of_size[0] } else { &first[at] };
                figures.push(Figure {
                    nth,
                    what: format!("{what}, {} builds, {kind:?}", thousands(*size)),
                    unit: "/s",
                    ours: of_size[at].clone(),
                    yardstick: yardstick.clone(),
                    goal: *goal,
                });
            }
        }
        Ok(figures)
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

    /// Goal 9: memory.
    pub(crate) fn memory(&self, builds: u64) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        let mut note = |what: String, value, goal| {
            figures.push(Figure {
                nth: "9",
                what,
                unit: "MiB",
                ours: vec![value],
                yardstick: vec![],
                goal,
            });
        };
        let (server, _) = self.server("memory", Kind::Postgres)?;
        note("memory (PSS) when idle".to_owned(), server.memory()?, Goal::Shown);
        let requests = posts(&[CREDENTIALS], None);
        let until = |count: u64, sent: &mut f64| -> Result<()> {
            while *sent < count as f64 {
                let time = Duration::from_secs(2);
                let outcome = load::run(&server.address, on(64, &requests), Pace::Closed, time)?;
                *sent += outcome.rate * time.as_secs_f64();
            }
            Ok(())
        };
        let mut sent = 0.0;
        until(builds, &mut sent)?;
        let before = server.memory()?;
        note(
            format!("after {} builds from 64 connections", thousands(builds)),
            before,
            Goal::AtMost(32.0),
        );
        until(builds * 5, &mut sent)?;
        let after = server.memory()?;
        note(
            format!("after {} builds", thousands(builds * 5)),
            after,
            Goal::AtMost((before + 2.0).max(32.0)),
        );
        let body = 64 * 1024;
        self.rate(&server, 64, &posts(&[CREDENTIALS], Some(body)))?;
        note(
            "after builds of 64 KiB from 64 connections".to_owned(),
            server.memory()?,
            Goal::AtMost(64.0),
        );
        self.rate(
            &server,
            64,
            &Rc::new(vec![request(
                "POST",
                "/p2/builds",
                &[CREDENTIALS],
                &sample::document(1, Some(1 << 20)),
            )]),
        )?;
        note("after builds of 1 MiB from 64 connections".to_owned(), server.memory()?, Goal::Shown);
        once(&server, &get("/p2/builds"), "")?;
        note(
            "after a page of those builds, with outputs".to_owned(),
            server.memory()?,
            Goal::Shown,
        );
        Ok(figures)
    }

    /// How fast JUnit XML is parsed, compared with a library that only tokenizes it.
    pub(crate) fn reports(&self) -> Result<Vec<Figure>> {
        let case = |n: usize| {
            let body = match n % 10 {
                0 => format!("<failure message=\"no\">{}</failure>", sample::log(n, 600)),
                1 => format!("<system-out>{}</system-out>", sample::log(n, 300)),
                _ => String::new(),
            };
            format!(
                "<testcase classname=\"a.b.C{}\" name=\"case {n}\" time=\"0.{n:03}\">{body}</testcase>\n",
                n % 97
            )
        };
        let cases: String = (0..100_000).map(case).collect();
        let text = format!("<testsuite name=\"s\" tests=\"100000\">{cases}</testsuite>");
        let (mut read, mut held, mut yardstick) = (vec![], vec![], vec![]);
        let rate = |start: std::time::Instant, cases: usize| match cases {
            100_000 => Ok(text.len() as f64 / 1e6 / start.elapsed().as_secs_f64()),
            _ => Err(anyhow!("a case was lost")),
        };
        for _ in 0..self.rounds {
            yardstick.push(yardstick::xml(&text)?);
            let start = std::time::Instant::now();
            let mut counted = Counted::default();
            devmason_reports::read_slice(Format::Junit, text.as_bytes(), &mut counted)?;
            read.push(rate(start, counted.cases)?);
            let start = std::time::Instant::now();
            let whole = devmason_reports::Read::from_bytes(text.as_bytes(), None)?;
            held.push(rate(start, whole.cases.len())?);
        }
        let figure = |what: &str, ours, goal| Figure {
            nth: "-",
            what: what.to_owned(),
            unit: "MB/s",
            ours,
            yardstick: yardstick.clone(),
            goal,
        };
        Ok(vec![
            figure(
                "JUnit XML with 100k cases, parsed, vs. scanning it",
                read,
                Goal::AtLeast(1.0 / 3.0),
            ),
            figure("the same, all cases held in memory", held, Goal::Shown),
        ])
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

/// A sink that counts cases and keeps none.
#[derive(Default)]
struct Counted {
    cases: usize,
}

impl devmason_reports::Sink for Counted {
    fn suite(
        &mut self,
        suite: devmason_reports::Suite,
    ) -> std::result::Result<(), devmason_reports::ReadError> {
        std::hint::black_box(suite);
        Ok(())
    }
    fn case(
        &mut self,
        case: devmason_reports::Case,
    ) -> std::result::Result<(), devmason_reports::ReadError> {
        self.cases += 1;
        std::hint::black_box(case);
        Ok(())
    }
    fn note(&mut self, note: devmason_reports::Note) {
        std::hint::black_box(note);
    }
    fn against(&mut self, reason: devmason_reports::Reason) {
        std::hint::black_box(reason);
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
