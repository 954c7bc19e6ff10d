//! Measures the devmason server against yardsticks that run beside it, in the same rounds, and prints
//! their ratios. `docs/performance.md` explains each figure.

mod attacks;
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

use clap::{Parser, Subcommand};
use devmason_test_support::Cluster;

use scenarios::{Bench, Kind};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Measures the devmason server against yardsticks in the same run
///
/// It starts what it needs: the server, built by cargo where cargo started this; a private PostgreSQL,
/// from Debian's package; SQLite files. Everything is removed at the end.
#[derive(Parser)]
#[command(name = "devmason-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    /// How many rounds: in each one everything is measured once, by turns
    #[arg(long, default_value_t = 5)]
    rounds: usize,

    /// How many seconds each measurement takes
    #[arg(long, default_value_t = 2)]
    seconds: u64,

    /// Which groups of scenarios: ingest, sqlite, append, reads, scale, scale-sqlite, tail, memory, bulk, project, reports; and attacks, which stands apart
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "ingest,sqlite,append,reads,tail,project,memory,bulk,reports,scale,scale-sqlite"
    )]
    only: Vec<String>,

    /// How many builds are stored where sizes are compared
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    sizes: Vec<u64>,

    /// How many builds are posted before memory is looked at; then five times as many
    #[arg(long, default_value_t = 100_000)]
    memory_builds: u64,

    /// The server's program, where it is not to be built
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,

    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a file's content from memory: a yardstick, started by the benchmark itself
    #[command(hide = true)]
    Bare {
        /// The file
        body: PathBuf,
        /// Whether to compress it
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
            let _ = writeln!(std::io::stderr(), "devmason-bench: {error}");
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
            "scale" => bench.scale(&cli.sizes, Kind::Postgres)?,
            "scale-sqlite" => bench.scale(&cli.sizes, Kind::Sqlite)?,
            other => return Err(format!("there is no group '{other}'").into()),
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
