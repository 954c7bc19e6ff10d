//! Imports builds in bulk without a server, into SQLite or PostgreSQL, through the repository
//! alone.

mod batch;
mod dump;
mod export;
mod lines;
mod peers;
mod server;
mod trees;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use clap::{Parser, Subcommand};
use devmason_client::{private, sieve};
use devmason_domain::{Project, ProjectName, Reporting, Slug, Tag, TagSet, Tracking};
use devmason_repository::{Actor, NewProject, Options, Registered, Repository, open};
use indicatif::{ProgressBar, ProgressStyle};

/// Imports builds in bulk into a devmason store, exports one, and so moves one between SQLite and PostgreSQL.
///
/// Existing records are not changed, so after an interruption the same command continues where it stopped.
#[derive(Parser)]
#[command(name = "devmason-import", version = devmason_version::VERSION)]
struct Cli {
    /// Database: postgres://... or sqlite:PATH
    #[arg(
        long,
        env = "DEVMASON_DATABASE_URL",
        value_name = "URL",
        global = true,
        hide_env_values = true
    )]
    database_url: Option<String>,
    /// Suppress the progress bar and the counts
    #[arg(long, short = 'q', global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Export the whole store as JSON Lines: users with password hashes, components, projects, builds
    Export {
        /// Output file [default: standard output]
        file: Option<PathBuf>,
    },
    /// Import JSON Lines: the output of `export`, or build documents for one project
    Import {
        /// Project for build documents; created if it does not exist
        #[arg(long, short = 'p')]
        project: Option<Slug>,
        /// Input files [default: standard input]
        files: Vec<PathBuf>,
    },
    /// Import report files from directory trees, one build per file: JUnit XML, TAP and other formats
    Reports {
        /// Project; created if it does not exist
        #[arg(long, short = 'p')]
        project: Slug,
        /// Tag for each build; repeatable
        #[arg(long, short = 't')]
        tag: Vec<Tag>,
        /// Files and directories
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Import directories of Allure results, one build per directory
    Allure {
        /// Project; created if it does not exist
        #[arg(long, short = 'p')]
        project: Slug,
        /// Tag for each build; repeatable
        #[arg(long, short = 't')]
        tag: Vec<Tag>,
        /// Directories
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Import what another system holds, over its HTTP API: one build per run
    ///
    /// Set the username and password in DEVMASON_USER and DEVMASON_PASSWORD; for a key that is sent as Bearer,
    /// such as ReportPortal's, DEVMASON_PASSWORD alone.
    From {
        /// The system
        system: peers::System,
        /// URL of the server; for Jenkins, of the job
        url: String,
        /// Project here; created if it does not exist
        #[arg(long, short = 'p')]
        project: Slug,
        /// Project there; for DCI, a topic [default for DCI: all]
        #[arg(long)]
        from: Option<String>,
        /// Number of days to import, up to today; CDash only
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36500))]
        days: u32,
    },
    /// Import the builds of a running server over HTTP
    Server {
        /// URL of the server; set the username and password in DEVMASON_USER and DEVMASON_PASSWORD
        url: String,
        /// Import only these projects
        #[arg(long, short = 'p')]
        project: Vec<Slug>,
    },
}

/// Import counts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Number of new objects.
    pub(crate) new: u64,
    /// Number of objects that already existed.
    pub(crate) known: u64,
    /// Number of unreadable objects.
    pub(crate) bad: u64,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match act(&cli) {
        Ok(counts) => {
            if !cli.quiet && !matches!(cli.command, Command::Export { .. }) {
                say(&format!(
                    "{} imported, {} already present, {} skipped",
                    counts.new, counts.known, counts.bad
                ));
            }
            ExitCode::from(u8::from(counts.bad > 0))
        }
        Err(problem) => {
            say(&format!("{problem:#}"));
            ExitCode::from(2)
        }
    }
}

/// Prints one line to standard error. It is sanitized, because the input may come from anyone.
pub(crate) fn say(text: &str) {
    // Without standard error there is nowhere to report it.
    let _ = writeln!(io::stderr(), "devmason-import: {}", sieve::line(text));
}

fn act(cli: &Cli) -> Result<Counts> {
    let url = cli
        .database_url
        .as_deref()
        .context("no database given; set --database-url to postgres://... or sqlite:PATH")?;
    let repository = open(url, &Options::default())?;
    let repository = &*repository;
    match &cli.command {
        Command::Export { file } => {
            let written = match file {
                // Readable only by its owner: it contains password hashes.
                Some(path) => {
                    private::whole(path, |to| export::whole(repository, to, &bar(cli, None)))
                        .map_err(|problem| problem.context(path.display().to_string()))
                }
                None => export::whole(repository, io::stdout().lock(), &bar(cli, None)),
            };
            written.map(|()| Counts::default())
        }
        Command::Import { project, files } => {
            lines::import(repository, project.as_ref(), files, cli)
        }
        Command::Reports { project, tag, paths } => {
            trees::import(repository, project, tag, paths, cli)
        }
        Command::Allure { project, tag, paths } => {
            trees::import_allure(repository, project, tag, paths, cli)
        }
        Command::From { system, url, project, from, days } => {
            let wanted =
                peers::Wanted { system: *system, url, project, of: from.as_deref(), days: *days };
            peers::import(repository, &wanted, cli)
        }
        Command::Server { url, project } => server::import(repository, url, project, cli),
    }
}

/// A progress bar with the rate and the remaining time if there is a terminal; by bytes if the size
/// is known.
fn bar(cli: &Cli, bytes: Option<u64>) -> ProgressBar {
    if cli.quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match bytes {
        Some(bytes) => {
            (ProgressBar::new(bytes), "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
        }
        None => (ProgressBar::new(0), "{wide_bar} {pos}/{len} {per_sec} {eta}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The project with that name, registered without an owner if missing.
pub(crate) fn project(repository: &dyn Repository, slug: &Slug) -> Result<Project> {
    if let Some(project) = repository.project_find(slug)? {
        return Ok(project);
    }
    let name: ProjectName = slug.as_str().parse().context("project")?;
    let new = NewProject {
        slug: slug.clone(),
        name,
        reporting: Reporting::Anyone,
        tracking: Tracking::default(),
        repository: None,
        tags: TagSet::default(),
        owner: Actor::Nobody,
    };
    match repository.project_register(&new)? {
        Registered::New(project) => Ok(*project),
        other => Err(anyhow!("project {slug} was not created: {other:?}")),
    }
}
