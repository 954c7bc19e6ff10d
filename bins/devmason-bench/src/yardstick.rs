//! The yardsticks: pgbench with minimal SQL, SQLite without anything around it, and an HTTP server
//! that responds from memory.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use actix_web::middleware::{Compress, Condition};
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context, Result, anyhow};
use devmason_test_support::Cluster;

use crate::sample::log;
use crate::sample::{self, PROJECTS, STEPS};

/// Runs a pgbench script with prepared statements and texts as parameters; returns transactions per
/// second.
pub(crate) fn pgbench(
    cluster: &Cluster,
    url: &str,
    script: &str,
    clients: usize,
    time: Duration,
) -> Result<f64> {
    let text = run_pgbench(cluster, url, script, clients, time, &[])?;
    let rate = text
        .lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse::<f64>().ok());
    rate.context("pgbench printed no rate")
}

/// The 99th percentile of the times of a script's transactions, in milliseconds, at a fixed rate per
/// second. As in our own load, a time counts from when the transaction was due.
pub(crate) fn pgbench_p99(
    cluster: &Cluster,
    url: &str,
    script: &str,
    clients: usize,
    time: Duration,
    rate: f64,
) -> Result<f64> {
    let logs = tempfile::tempdir()?;
    let prefix = logs.path().join("log").display().to_string();
    let rate = format!("--rate={rate}");
    let options = ["--log", "--log-prefix", &prefix, &rate];
    run_pgbench(cluster, url, script, clients, time, &options)?;
    let mut micros: Vec<u64> = Vec::new();
    for log in std::fs::read_dir(logs.path())? {
        // Each line: client, number, microseconds, and others.
        let text = std::fs::read_to_string(log?.path())?;
        micros.extend(text.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u64>().ok()));
    }
    micros.sort_unstable();
    let at = (micros.len().saturating_sub(1) as f64 * 0.99).round() as usize;
    micros.get(at).map(|micros| *micros as f64 / 1e3).context("pgbench logged nothing")
}

fn run_pgbench(
    cluster: &Cluster,
    url: &str,
    script: &str,
    clients: usize,
    time: Duration,
    options: &[&str],
) -> Result<String> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(script.as_bytes())?;
    let mut command = Command::new(cluster.program("pgbench"));
    command.args(options);
    command.args(["-n", "-M", "prepared", "-j", if clients > 1 { "2" } else { "1" }]);
    command.args(["-c", &clients.to_string(), "-T", &time.as_secs().max(1).to_string()]);
    for at in 0..STEPS {
        command.arg("-D").arg(format!("output{at}={}", log(at, 1024)));
        command.arg("-D").arg(format!("errout{at}={}", log(at + 1, 200)));
    }
    command.arg("-D").arg(format!("client={}", sample::client()));
    let output = command.arg("-f").arg(file.path()).arg(url).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(anyhow!("pgbench: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Creates what pgbench's scripts need in addition to the product's own tables.
pub(crate) fn prepare(cluster: &Cluster, url: &str) {
    cluster.sql(
        url,
        &format!(
            "create sequence bench_id cache 100;
             insert into project (slug, slug_key, name, reporting, created_at, updated_at)
             select 'y' || n, 'y' || n, 'y', 'anyone', now(), now() from generate_series(1, {PROJECTS}) n"
        ),
    );
}

const BUILD: &str = "insert into build (project_id, id, started, started_offset, finished, finished_offset, success,
    received, updated_at, tags, steps, failed_steps, output_bytes, client, host)
  values (:p, (encode(int8send(nextval('bench_id')), 'hex') || '8000000000000000')::uuid, now(), 0, now(), 0, true,
    now(), now(), 'linux;nightly;python-3.11', 5, 0, 6120, :client, 'ci-7.example.org')
  returning project_id, id";

fn step_rows() -> String {
    let rows: Vec<String> =
        (0..STEPS).map(|at| format!("({at}, :output{at}::bytea, :errout{at}::bytea)")).collect();
    rows.join(", ")
}

/// A build with its steps and tags: one statement, one transaction.
pub(crate) fn insert_build() -> String {
    format!(
        "\\set p random(1, {PROJECTS})
with b as ({BUILD}), s as (
  insert into step (project_id, build_id, position, name, success, started, started_offset, finished, finished_offset, output, errout, extras)
  select b.project_id, b.id, n.position, 'step', true, now(), 0, now(), 0, n.output, n.errout, ''
  from b, (values {}) n (position, output, errout))
insert into build_tag (project_id, tag, build_id)
select b.project_id, t.tag, b.id from b, (values ('linux'), ('nightly'), ('python-3.11')) t (tag);
",
        step_rows()
    )
    .replace("\n  ", " ")
}

/// The same for sixteen builds per transaction.
pub(crate) fn insert_builds() -> String {
    format!("begin;\n{}commit;\n", insert_build().repeat(16))
}

/// A step, and the row of its build that contains the step count.
pub(crate) fn append_step() -> String {
    "\\set p random(1, 16)
with b as (
  update build set steps = steps + 1, output_bytes = output_bytes + 1224, version = version + 1, updated_at = now()
  where project_id = :p and id = (select id from build where project_id = :p order by id limit 1)
  returning project_id, id, steps - 1 as position)
insert into step (project_id, build_id, position, name, success, started, started_offset, finished, finished_offset, output, errout, extras)
select project_id, id, position, 'step', true, now(), 0, now(), 0, :output0::bytea, :errout0::bytea, '' from b;
"
    .replace("\n  ", " ")
}

/// Reads a build created by [`crate::fill`] and its steps.
pub(crate) fn read_build(builds: u64) -> String {
    let id = "(lpad(to_hex(:n::int), 16, '0') || '8000000000000000')::uuid";
    format!(
        "\\set n random(1, {builds})
\\set p 1 + :n % {PROJECTS}
select * from build where project_id = :p and id = {id};
select * from step where project_id = :p and build_id = {id} order by position;
"
    )
}

/// Reads a page of builds, optionally with their steps.
pub(crate) fn read_page(project: i64, with_steps: bool) -> String {
    let page =
        format!("select * from build where project_id = {project} order by id desc limit 25");
    let steps = format!(
        "select * from step where project_id = {project} and build_id in \
         (select id from build where project_id = {project} order by id desc limit 25) order by build_id, position;\n"
    );
    format!("{page};\n{}", if with_steps { steps.as_str() } else { "" })
}

/// Serves a body from memory and does nothing else: the upper limit for a server in this framework.
pub(crate) fn serve_bare(body: String, compress: bool) -> Result<()> {
    let body = web::Bytes::from(body);
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            let body = body.clone();
            App::new().wrap(Condition::new(compress, Compress::default())).default_service(web::to(
                move || {
                    let body = body.clone();
                    async move { HttpResponse::Ok().content_type("application/json").body(body) }
                },
            ))
        })
        .tcp_nodelay(true)
        .bind("127.0.0.1:0")?;
        for address in server.addrs() {
            writeln!(std::io::stdout(), "ready at http://{address}")?;
        }
        server.run().await?;
        Ok(())
    })
}

/// Tokenizes XML, including attributes, and discards the result; returns megabytes per second.
pub(crate) fn xml(text: &str) -> Result<f64> {
    use quick_xml::events::Event;
    let start = Instant::now();
    let mut reader = quick_xml::Reader::from_reader(text.as_bytes());
    let (mut buffer, mut events) = (Vec::new(), 0u64);
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer)? {
            Event::Eof => break,
            Event::Start(start) | Event::Empty(start) => {
                for attribute in start.attributes() {
                    events += attribute?.value.len() as u64;
                }
            }
            _ => events += 1,
        }
    }
    std::hint::black_box(events);
    Ok(text.len() as f64 / 1e6 / start.elapsed().as_secs_f64())
}

/// Tables with a row for each test case, as test cases were stored before strips.
pub(crate) const CASE_TABLES: &str = "
    create table old_test (id bigint primary key, project_id bigint not null, key bytea not null, name text not null,
        unique (project_id, key));
    create table old_result (project_id bigint not null, build_id uuid not null, position integer not null,
        test_id bigint not null, status smallint not null, micros bigint, failure_key bytea, details bytea,
        packed smallint not null, primary key (project_id, build_id, position));
    create index old_result_by_test on old_result (project_id, test_id, build_id);
    create index old_result_failed on old_result (project_id, build_id, position) where status >= 3;
    insert into old_test select n, 1, decode(md5(n::text), 'hex'), 'tests.unit::test_does_what_it_should_' || n
        from generate_series(0, 9999) n;
    analyze old_test;";

/// The rows of ten thousand cases: a thousand for each statement, one transaction.
pub(crate) fn insert_cases() -> String {
    let piece = |at: usize| {
        let (first, last) = (at * 1000, at * 1000 + 999);
        format!(
            "insert into old_result select t.project_id, \
             ('01900000-0000-7000-8000-' || lpad((:c)::text, 12, '0'))::uuid, n, t.id, \
             case when n % 100 = 0 then 3 else 0 end, n * 7, null, null, 0 \
             from generate_series({first}, {last}) n \
             join old_test t on t.project_id = 1 and t.key = decode(md5(n::text), 'hex');\n"
        )
    };
    let pieces: String = (0..10).map(piece).collect();
    format!("\\set c random(0, 99999999999)\nbegin;\n{pieces}commit;\n")
}

/// Inserts the rows of ten thousand cases for each commit with SQLite alone; returns cases per
/// second.
pub(crate) fn sqlite_cases(path: &std::path::Path, time: Duration) -> Result<f64> {
    let is_new = !path.exists();
    let mut conn = rusqlite::Connection::open(path)?;
    conn.execute_batch(
        "pragma page_size = 8192; pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -8000;",
    )?;
    let key = |n: i64| uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, &n.to_le_bytes());
    let keys: Vec<uuid::Uuid> = (0..10_000).map(key).collect();
    if is_new {
        conn.execute_batch(
            "create table test (id integer primary key, project_id integer not null, key blob not null,
                 name text not null, unique (project_id, key)) strict;
             create table test_result (project_id integer not null, build_id blob not null, position integer not null,
                 test_id integer not null, status integer not null, micros integer, failure_key blob, details blob,
                 packed integer not null, primary key (project_id, build_id, position)) strict;
             create index test_result_by_test on test_result (project_id, test_id, build_id);
             create index test_result_failed on test_result (project_id, build_id, position) where status >= 3;",
        )?;
        let change = conn.transaction()?;
        for (n, key) in keys.iter().enumerate() {
            let name = format!("tests.unit::test_does_what_it_should_{n}");
            let insert = "insert into test (project_id, key, name) values (1, ?, ?)";
            change.execute(insert, (key.as_bytes(), name))?;
        }
        change.commit()?;
    }
    let mut insert = conn.prepare(
        "insert into test_result (project_id, build_id, position, test_id, status, micros, packed)
         select project_id, ?, ?, id, ?, ?, 0 from test where project_id = 1 and key = ?",
    )?;
    let (start, mut cases) = (Instant::now(), 0);
    while start.elapsed() < time {
        conn.execute_batch("begin immediate")?;
        let id = *uuid::Uuid::now_v7().as_bytes();
        for (n, key) in (0i64..).zip(&keys) {
            let status = if n % 100 == 0 { 3 } else { 0 };
            cases += insert.execute((id, n, status, n * 7, key.as_bytes()))?;
        }
        conn.execute_batch("commit")?;
    }
    Ok(cases as f64 / start.elapsed().as_secs_f64())
}

/// Inserts the rows of builds with SQLite alone, with as many builds per commit as in the server;
/// returns builds per second.
pub(crate) fn sqlite(path: &std::path::Path, time: Duration) -> Result<f64> {
    let conn = rusqlite::Connection::open(path)?;
    conn.execute_batch(
        "pragma page_size = 8192; pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -8000;",
    )?;
    let tables: i64 =
        conn.query_row("select count(*) from sqlite_schema where name = 'build'", [], |row| {
            row.get(0)
        })?;
    if tables == 0 {
        return Err(anyhow!("the yardstick's database has no tables"));
    }
    let (outputs, errouts): (Vec<_>, Vec<_>) =
        (0..STEPS).map(|at| (log(at, 1024), log(at + 1, 200))).unzip();
    let client = sample::client().to_string();
    let mut build = conn.prepare(
        "insert into build (project_id, id, started, started_offset, finished, finished_offset, success, received,
             updated_at, tags, steps, failed_steps, output_bytes, client, host)
         values (?, ?, 0, 0, 0, 0, 1, ?, 0, 'linux;nightly;python-3.11', 5, 0, 6120, ?, 'ci-7.example.org')",
    )?;
    let mut step = conn.prepare(
        "insert into step (project_id, build_id, position, name, success, started, started_offset, finished,
             finished_offset, output, errout, extras) values (?, ?, ?, 'step', 1, 0, 0, 0, 0, ?, ?, '')",
    )?;
    let mut tag =
        conn.prepare("insert into build_tag (project_id, tag, build_id) values (?, ?, ?)")?;
    let (start, mut builds) = (Instant::now(), 0u64);
    while start.elapsed() < time {
        conn.execute_batch("begin immediate")?;
        for _ in 0..16 {
            builds += 1;
            let id = *uuid::Uuid::now_v7().as_bytes();
            let project = builds as i64 % PROJECTS as i64 + 1;
            build.execute((project, id, builds as i64, &client))?;
            for (at, (output, errout)) in outputs.iter().zip(&errouts).enumerate() {
                step.execute((project, id, at as i64, output.as_bytes(), errout.as_bytes()))?;
            }
            for word in ["linux", "nightly", "python-3.11"] {
                tag.execute((project, word, id))?;
            }
        }
        conn.execute_batch("commit")?;
    }
    Ok(builds as f64 / start.elapsed().as_secs_f64())
}
