//! The command line.

use std::ffi::OsString;
use std::time::Duration;

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::settings::Layer;

/// Reports builds and test runs to a devmason server, and shows them.
///
/// Reports are kept on disk until the server has them: a server that is away neither loses one nor fails a build.
///
/// Exit codes: 0 done, or kept and sent with the next report or by `devmason flush`; 1 the server refused, or what
/// was asked about failed; 2 wrong arguments or settings, or a build that is not there; 3 the server was not reached, where something is read from
/// it, flushed, or reported with --strict. `run` and `step` with a command exit as the command does, 127 if there is no such command, 126 if it
/// can't be run, 128 and the signal's number if one ended it.
#[derive(Parser)]
#[command(name = "devmason", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) settings: Layer,
}

/// The command line of this process, with what its environment says.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    let matches = without_empty_variables(Cli::command()).try_get_matches()?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    let within = matches.subcommand().map(|(_, within)| within);
    let source = within.and_then(|within| within.value_source("tags"));
    cli.settings.has_tags_flag = source == Some(ValueSource::CommandLine);
    Ok(cli)
}

/// A variable that is set to nothing is not set: that is how CI systems pass on what is not there.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &clap::Arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        value.is_some_and(|value| value.is_empty())
    };
    command
        .mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg })
        .mut_subcommands(without_empty_variables)
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a command as a build: its output is sent while it runs, its exit code is passed on
    Run {
        /// What the step is called [default: the command's program]
        #[arg(long)]
        name: Option<String>,
        /// The build's id; {build_number} and the like are filled in [default: a fresh one]
        #[arg(long, env = "DEVMASON_BUILD_ID")]
        id: Option<String>,
        /// Report files that the command writes, sent as steps once it has ended; a path or a pattern
        #[arg(long, value_name = "PATTERN")]
        report: Vec<String>,
        #[command(flatten)]
        patience: Patience,
        /// The command
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Begin a build of several steps; prints its id, which DEVMASON_BUILD is to be for `step`, `report` and `end`
    Begin {
        /// The build's id; {build_number} and the like are filled in [default: a fresh one]
        #[arg(long, env = "DEVMASON_BUILD_ID")]
        id: Option<String>,
        #[command(flatten)]
        patience: Patience,
    },
    /// Report a step of a build that was begun: a command that is run, or only that it succeeded or failed
    Step {
        /// What `begin` printed
        #[arg(
            long,
            short = 'b',
            env = "DEVMASON_BUILD",
            default_value = "",
            hide_default_value = true
        )]
        build: String,
        /// What the step is called
        name: String,
        /// It failed
        #[arg(long, conflicts_with = "command")]
        failed: bool,
        /// A file with its output; - for standard input
        #[arg(long, conflicts_with = "command", value_name = "FILE")]
        output: Option<String>,
        #[command(flatten)]
        patience: Patience,
        /// The command
        #[arg(last = true)]
        command: Vec<OsString>,
    },
    /// End a build that was begun; whether it succeeded follows from its steps unless said
    End {
        /// What `begin` printed
        #[arg(
            long,
            short = 'b',
            env = "DEVMASON_BUILD",
            default_value = "",
            hide_default_value = true
        )]
        build: String,
        /// It succeeded, whatever its steps say
        #[arg(long, conflicts_with = "failed")]
        success: bool,
        /// It failed, whatever its steps say
        #[arg(long)]
        failed: bool,
        #[command(flatten)]
        patience: Patience,
    },
    /// Report what test tools wrote: JUnit XML, TAP, the JSON of Jest, Playwright or go test, and many others
    Report {
        /// What `begin` printed: the files become steps of that build
        #[arg(long, short = 'b', env = "DEVMASON_BUILD")]
        build: Option<String>,
        /// The build's id; {build_number} and the like are filled in [default: a fresh one]
        #[arg(long, env = "DEVMASON_BUILD_ID")]
        id: Option<String>,
        /// Only say what is read of the files, and send nothing
        #[arg(long)]
        check: bool,
        #[command(flatten)]
        patience: Patience,
        /// Files, patterns such as 'target/**/*.xml', or - for standard input
        #[arg(required = true)]
        files: Vec<String>,
    },
    /// Send what was kept while the server was away
    Flush,
    /// List or drop what was kept
    Queue {
        #[command(subcommand)]
        action: Queue,
    },
    /// Say whether the server is there, who one is to it, and what is still to be sent
    Status,
    /// List the project's builds, the newest first: with -t those with these tags
    Builds {
        /// Only those that this holds of, such as success:false
        #[arg(long = "where", value_name = "CONDITIONS")]
        conditions: Option<String>,
        /// How many
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: u32,
    },
    /// Show a build with its steps
    Show {
        /// Its id, or `latest`
        #[arg(default_value = "latest")]
        build: String,
        /// With what the steps wrote
        #[arg(long)]
        output: bool,
    },
    /// List a build's test cases
    Tests {
        /// Its id, or `latest`
        #[arg(default_value = "latest")]
        build: String,
        /// Only those: passed, flaky, skipped, failed, error
        #[arg(long, value_name = "STATUS")]
        status: Vec<String>,
        /// Only those that failed or broke
        #[arg(long, conflicts_with = "status")]
        failed: bool,
    },
    /// Wait until a build is finished; exits with 0 if it succeeded, 1 if not, 2 if it is not there, 3 if it takes too long
    Wait {
        /// Its id, or `latest`
        #[arg(default_value = "latest")]
        build: String,
        /// How many seconds at most
        #[arg(long, default_value_t = 3600)]
        timeout: u64,
    },
    /// List the project's tags
    Tags,
    /// Register, rename or delete a project
    Project {
        #[command(subcommand)]
        action: Action,
    },
    /// Keep a user's password for the server, asked for or read from standard input, unless the server says that it is wrong
    Login {
        /// The user's name
        user: String,
    },
    /// Print a completion script for a shell
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a directory
    Man {
        /// The directory
        dir: std::path::PathBuf,
    },
}

#[derive(Subcommand)]
pub(crate) enum Action {
    /// Register a project
    Create {
        /// Its name in URIs
        project: String,
        /// Its name for people [default: the same]
        #[arg(long)]
        name: Option<String>,
    },
    /// Change its name for people
    Update {
        /// Its name in URIs
        project: String,
        /// Its name for people
        #[arg(long)]
        name: String,
    },
    /// Delete a project with all its builds
    Delete {
        /// Its name in URIs
        project: String,
        /// Do not ask
        #[arg(long, short = 'y')]
        yes: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum Queue {
    /// List the builds of which something is still to be sent
    List,
    /// Drop what is still to be sent of some builds; the server keeps what it has
    Drop {
        /// Their ids
        #[arg(required_unless_present = "all")]
        builds: Vec<String>,
        /// Of all of them
        #[arg(long, conflicts_with = "builds")]
        all: bool,
    },
}

/// Longer than anybody waits, in seconds.
const YEAR: u64 = 365 * 86_400;

/// How long and how often.
#[derive(clap::Args, Clone, Copy)]
pub(crate) struct Patience {
    /// How many seconds to wait at the end for the server to take what is left
    #[arg(long, env = "DEVMASON_WAIT", default_value_t = 5)]
    wait: u64,
    /// After how many seconds output is sent while a command runs
    #[arg(long, env = "DEVMASON_INTERVAL", default_value_t = 10)]
    interval: u64,
}

impl Patience {
    pub(crate) fn wait(self) -> Duration {
        Duration::from_secs(self.wait.min(YEAR))
    }
    pub(crate) fn interval(self) -> Duration {
        Duration::from_secs(self.interval.clamp(1, YEAR))
    }
}
