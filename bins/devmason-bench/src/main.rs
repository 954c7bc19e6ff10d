//! Measures the devmason server against yardsticks that run alongside it, in the same rounds, and
//! prints their ratios. `docs/performance.md` explains each figure.

mod attacks;
mod cases;
mod fill;
mod load;
mod report;
mod sample;
mod scenarios;
mod server;
mod yardstick;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::{Parser, Subcommand};
use devmason_test_support::Cluster;

use scenarios::{Bench, Kind};

/// Benchmark the devmason server against baselines in the same run
///
/// Starts everything it needs: the server (built by cargo if run through cargo), a private PostgreSQL
/// from Debian's package, and SQLite files. Removes everything at the end.
#[derive(Parser)]
#[command(name = "devmason-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    /// Number of rounds; each round measures everything once, in turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,

    /// Duration of each measurement in seconds
    #[arg(long, default_value_t = 2)]
    seconds: u64,

    /// Groups of scenarios to run: ingest, sqlite, append, reads, scale, scale-sqlite, tail, memory, bulk, project, reports, cases, logs, foreign; also attacks, which is not run by default
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "ingest,sqlite,append,reads,tail,project,memory,bulk,reports,cases,logs,foreign,scale,scale-sqlite"
    )]
    only: Vec<String>,

    /// Numbers of stored builds at which to compare
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    sizes: Vec<u64>,

    /// Number of builds to post before measuring memory; then five times as many
    #[arg(long, default_value_t = 100_000)]
    memory_builds: u64,

    /// Path of the server binary; built if omitted
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,

    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a file from memory: a baseline, started by the benchmark itself
    #[command(hide = true)]
    Bare {
        /// The file
        body: PathBuf,
        /// Compress it
        #[arg(long)]
        compress: bool,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Bare { body, compress }) => std::fs::read_to_string(body)
            .map_err(Into::into)
            .and_then(|body| yardstick::serve_bare(body, compress)),
        None => measure(cli),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "devmason-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(cli: Cli) -> Result<()> {
    let bench = Bench {
        program: server::program(cli.server)?,
        rounds: cli.rounds.max(1),
        time: Duration::from_secs(cli.seconds.max(1)),
        cluster: Cluster::start(&["max_connections=200", "shared_buffers=1GB", "max_wal_size=8GB"]),
        directory: tempfile::tempdir()?,
    };
    let mut figures = Vec::new();
    for group in &cli.only {
        if group == "attacks" {
            let rows = bench.attacks()?;
            write!(std::io::stdout(), "{}\n\n{}", report::machine(), attacks::table(&rows))?;
            continue;
        }
        let _ = writeln!(std::io::stderr(), "measuring: {group}");
        figures.extend(match group.as_str() {
            "ingest" => bench.ingest_postgres()?,
            "sqlite" => bench.ingest_sqlite()?,
            "append" => bench.append()?,
            "reads" => bench.reads()?,
            "tail" => bench.tail()?,
            "project" => bench.one_project()?,
            "memory" => bench.memory(cli.memory_builds)?,
            "bulk" => bench.bulk()?,
            "reports" => bench.reports()?,
            "cases" => {
                let mut both = bench.cases(Kind::Sqlite)?;
                both.extend(bench.cases(Kind::Postgres)?);
                both
            }
            "logs" => {
                let mut both = bench.logs(Kind::Sqlite)?;
                both.extend(bench.logs(Kind::Postgres)?);
                both
            }
            "foreign" => vec![bench.launch(Kind::Sqlite)?, bench.launch(Kind::Postgres)?],
            "scale" => bench.scale(&cli.sizes, Kind::Postgres)?,
            "scale-sqlite" => bench.scale(&cli.sizes, Kind::Sqlite)?,
            other => return Err(anyhow!("unknown group '{other}'")),
        });
    }
    if figures.is_empty() {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    if cli.json {
        let document = serde_json::json!({"machine": report::machine(), "figures": figures});
        writeln!(out, "{document:#}")?;
    } else {
        writeln!(out, "{}\n\n{}", report::machine(), report::table(&figures))?;
    }
    Ok(())
}
