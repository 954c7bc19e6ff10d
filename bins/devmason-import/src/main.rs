//! Imports builds in bulk, without a server: into SQLite or PostgreSQL, through the repository alone.

mod batch;
mod dump;
mod export;
mod lines;
mod server;
mod trees;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use devmason_client::{private, sieve};
use devmason_domain::{Project, ProjectName, Reporting, Slug, Tag};
use devmason_repository::{Actor, NewProject, Options, Registered, Repository, open};
use indicatif::{ProgressBar, ProgressStyle};

/// What went wrong, in words for the one who runs it.
pub(crate) type Problem = Box<dyn std::error::Error>;

/// Imports builds in bulk into a devmason store, exports one, and so moves one between SQLite and PostgreSQL.
///
/// What is there already is left as it is, so after an interruption the same command goes on where it stopped.
#[derive(Parser)]
#[command(name = "devmason-import", version)]
struct Cli {
    /// The store: postgres://... or sqlite:PATH
    #[arg(
        long,
        env = "DEVMASON_DATABASE_URL",
        value_name = "URL",
        global = true,
        hide_env_values = true
    )]
    database_url: Option<String>,
    /// No bar, and no counts
    #[arg(long, short = 'q', global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the whole store as lines of JSON: users with their passwords' hashes, components, projects, builds
    Export {
        /// Where to; standard output unless said
        file: Option<PathBuf>,
    },
    /// Read lines of JSON: what `export` wrote, or documents of builds for one project
    Import {
        /// The project of lines that are documents of builds; registered if it is not there
        #[arg(long, short = 'p')]
        project: Option<Slug>,
        /// Where from; standard input unless said
        files: Vec<PathBuf>,
    },
    /// Read report files, each as a build of its own: JUnit XML, TAP and the others, from whole trees
    Reports {
        /// The project; registered if it is not there
        #[arg(long, short = 'p')]
        project: Slug,
        /// A tag of each build; may be given several times
        #[arg(long, short = 't')]
        tag: Vec<Tag>,
        /// Files and directories
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Read the builds of a running server over HTTP
    Server {
        /// Its URL; the user and the password are in DEVMASON_USER and DEVMASON_PASSWORD
        url: String,
        /// Only these projects
        #[arg(long, short = 'p')]
        project: Vec<Slug>,
    },
}

/// What was imported.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// What is there now.
    pub(crate) new: u64,
    /// What was there before.
    pub(crate) known: u64,
    /// What could not be read.
    pub(crate) bad: u64,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match act(&cli) {
        Ok(counts) => {
            if !cli.quiet && !matches!(cli.command, Command::Export { .. }) {
                say(&format!(
                    "{} imported, {} there before, {} left out",
                    counts.new, counts.known, counts.bad
                ));
            }
            ExitCode::from(u8::from(counts.bad > 0))
        }
        Err(problem) => {
            say(&problem.to_string());
            ExitCode::from(2)
        }
    }
}

/// Tells on standard error, in one line: what is read may be anybody's.
pub(crate) fn say(text: &str) {
    // With standard error gone there is nobody to tell.
    let _ = writeln!(io::stderr(), "devmason-import: {}", sieve::line(text));
}

fn act(cli: &Cli) -> Result<Counts, Problem> {
    let url = cli
        .database_url
        .as_deref()
        .ok_or("database-url: say which store, as postgres://... or sqlite:PATH")?;
    let repository = open(url, &Options::default()).map_err(|error| error.chain())?;
    let repository = &*repository;
    match &cli.command {
        Command::Export { file } => {
            let written = match file {
                // For its owner alone: there are hashes of passwords in it.
                Some(path) => {
                    private::whole(path, |to| export::whole(repository, to, &bar(cli, None)))
                        .map_err(|problem: Problem| format!("{}: {problem}", path.display()).into())
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
        Command::Server { url, project } => server::import(repository, url, project, cli),
    }
}

/// A bar with the rate and what is left, where there is a terminal to see it; of bytes, if so many are known.
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

/// The project of that name; registered for nobody if it is not there.
pub(crate) fn project(repository: &dyn Repository, slug: &Slug) -> Result<Project, Problem> {
    if let Some(project) = repository.project_find(slug)? {
        return Ok(project);
    }
    let name: ProjectName = slug.as_str().parse().map_err(|error| format!("project: {error}"))?;
    let new =
        NewProject { slug: slug.clone(), name, reporting: Reporting::Anyone, owner: Actor::Nobody };
    match repository.project_register(&new)? {
        Registered::New(project) => Ok(project),
        other => Err(format!("the project {slug} was not registered: {other:?}").into()),
    }
}
