//! The command line.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::time::Duration;

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use devmason_domain::TrackKey;

use crate::settings::Layer;

/// Report builds and test results to a devmason server, and query them.
///
/// Reports are queued on disk until the server has stored them. An unreachable server neither loses a report nor fails a build.
///
/// Exit codes: 0: done, or queued for the next report or `devmason flush`; 1: the server refused the request, or the build
/// in question failed; 2: invalid arguments or settings, or build not found; 3: the server was unreachable while reading from
/// it, flushing, or reporting with --strict. `run`, and `step` with a command, exit with the command's exit code: 127 if the command
/// is not found, 126 if it cannot be run, 128 plus the signal number if a signal ended it.
#[derive(Parser)]
#[command(name = "devmason", version = devmason_version::VERSION)]
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
    /// Run a command as a build: send its output while it runs and exit with its exit code
    Run {
        /// Name of the step [default: the command's program]
        #[arg(long)]
        name: Option<String>,
        /// Id of the build; placeholders such as {build_number} are expanded [default: a new id]
        #[arg(long, env = "DEVMASON_BUILD_ID")]
        id: Option<String>,
        /// Report files that the command writes, as a path or a pattern; sent as steps when it ends
        #[arg(long, value_name = "PATTERN")]
        report: Vec<String>,
        /// Let the gate decide about failed tests: exit with 0 if only tests failed and the gate passes, with 1 if the
        /// command succeeded and the gate fails; limits such as --gate=new:0,missing:5% [default: the project's]
        #[arg(long, value_name = "RULES", num_args = 0..=1, require_equals = true, default_missing_value = "")]
        gate: Option<String>,
        #[command(flatten)]
        terminal: Terminal,
        #[command(flatten)]
        patience: Patience,
        /// The command
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Begin a build of several steps and print its id; set DEVMASON_BUILD to it for `step`, `report` and `end`
    Begin {
        /// Id of the build; placeholders such as {build_number} are expanded [default: a new id]
        #[arg(long, env = "DEVMASON_BUILD_ID")]
        id: Option<String>,
        #[command(flatten)]
        patience: Patience,
    },
    /// Report a step of a begun build: run a command, or just record success or failure
    Step {
        /// The id that `begin` printed
        #[arg(
            long,
            short = 'b',
            env = "DEVMASON_BUILD",
            default_value = "",
            hide_default_value = true
        )]
        build: String,
        /// Name of the step
        name: String,
        /// Mark the step as failed
        #[arg(long, conflicts_with = "command")]
        failed: bool,
        /// File with the step's output; - for standard input
        #[arg(long, conflicts_with = "command", value_name = "FILE")]
        output: Option<String>,
        #[command(flatten)]
        terminal: Terminal,
        #[command(flatten)]
        patience: Patience,
        /// The command
        #[arg(last = true)]
        command: Vec<OsString>,
    },
    /// End a begun build; its steps determine whether it succeeded, unless --success or --failed is given
    End {
        /// The id that `begin` printed
        #[arg(
            long,
            short = 'b',
            env = "DEVMASON_BUILD",
            default_value = "",
            hide_default_value = true
        )]
        build: String,
        /// Mark the build as succeeded, regardless of its steps
        #[arg(long, conflicts_with = "failed")]
        success: bool,
        /// Mark the build as failed, regardless of its steps
        #[arg(long)]
        failed: bool,
        #[command(flatten)]
        patience: Patience,
    },
    /// Report the files of test tools: JUnit XML, TAP, JSON from Jest, Playwright or go test, and many others
    Report {
        /// The id that `begin` printed; adds the files to that build as steps
        #[arg(long, short = 'b', env = "DEVMASON_BUILD")]
        build: Option<String>,
        /// Id of the build; placeholders such as {build_number} are expanded [default: a new id]
        #[arg(long, env = "DEVMASON_BUILD_ID")]
        id: Option<String>,
        /// Only show what is parsed from the files; send nothing
        #[arg(long)]
        check: bool,
        #[command(flatten)]
        patience: Patience,
        /// Report files, patterns such as 'target/**/*.xml', or - for standard input
        #[arg(required = true)]
        files: Vec<String>,
    },
    /// Send the queued reports
    Flush,
    /// List or drop queued reports
    Queue {
        #[command(subcommand)]
        action: Queue,
    },
    /// Show the server, the signed-in user and queued reports
    Status,
    /// List the project's builds, newest first; with -t only those with these tags
    Builds {
        /// Only builds that match these conditions, such as success:false
        #[arg(long = "where", value_name = "CONDITIONS")]
        conditions: Option<String>,
        /// Only builds of this branch
        #[arg(long)]
        branch: Option<String>,
        /// Only builds of the track with this key
        #[arg(long, value_name = "KEY")]
        track: Option<TrackKey>,
        /// Maximum number of builds to list
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: u32,
    },
    /// Show a build, its failures and its steps
    Show {
        /// Id of the build, or `latest`
        #[arg(default_value = "latest")]
        build: String,
        /// The latest build of this branch
        #[arg(long, conflicts_with = "build")]
        branch: Option<String>,
        /// The latest build of the track with this key
        #[arg(long, value_name = "KEY", conflicts_with_all = ["build", "branch"])]
        track: Option<TrackKey>,
        /// Include the output of the steps
        #[arg(long)]
        output: bool,
    },
    /// List a build's test cases; failures with their class, such as new or flaky
    Tests {
        /// Id of the build, or `latest`
        #[arg(default_value = "latest")]
        build: String,
        /// The latest build of this branch
        #[arg(long, conflicts_with = "build")]
        branch: Option<String>,
        /// The latest build of the track with this key
        #[arg(long, value_name = "KEY", conflicts_with_all = ["build", "branch"])]
        track: Option<TrackKey>,
        /// Only test cases with this status: passed, flaky, skipped, failed or error; repeatable
        #[arg(long, value_name = "STATUS")]
        status: Vec<String>,
        /// Only failed and broken test cases
        #[arg(long, conflicts_with = "status")]
        failed: bool,
    },
    /// Compare a build with a baseline; exit with 0 if its gate passes, 1 if it fails, 2 if it is not found, 3 without a verdict
    Gate {
        /// Id of the build, or `latest` [default: the commit of this checkout]
        #[arg(env = "DEVMASON_BUILD")]
        build: Option<String>,
        /// Ask about all builds of a commit: at least 7 characters that it begins with
        #[arg(long, value_name = "SHA")]
        revision: Option<String>,
        /// Fail if a variant that usually reports about a commit did not: the rule variants:0
        #[arg(long)]
        all_variants: bool,
        /// What to compare with: previous, green, branch:NAME, commit:SHA, tag:TAG or build:ID [default: the base commit, the
        /// target branch or the mainline]
        #[arg(long, value_name = "BASELINE")]
        baseline: Option<String>,
        /// Compare with the last build of the commits that this checkout and REF have in common, such as origin/main
        #[arg(long, value_name = "REF", conflicts_with = "baseline")]
        merge_base: Option<String>,
        /// Limits such as new:0,missing:5% [default: the project's]
        #[arg(long, value_name = "RULES")]
        rules: Option<String>,
        /// Seconds to wait while the build runs and nothing has failed yet
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        wait: u64,
        /// How to print the answer
        #[arg(long, value_enum, default_value_t = GateFormat::Text)]
        format: GateFormat,
        /// What to do if the server gives no answer: fail with 3, or pass with a warning
        #[arg(long, value_enum, default_value_t = OnOutage::Fail)]
        on_outage: OnOutage,
    },
    /// Wait for a build to finish; exit with 0 if it succeeded, 1 if it failed, 2 if it is not found, 3 on a timeout
    Wait {
        /// Id of the build, or `latest`
        #[arg(default_value = "latest")]
        build: String,
        /// Timeout in seconds
        #[arg(long, default_value_t = 3600)]
        timeout: u64,
    },
    /// List the project's tags
    Tags,
    /// Create, rename or delete a project
    Project {
        #[command(subcommand)]
        action: Action,
    },
    /// Save a user's password for the server, from a prompt or standard input, unless the server rejects it
    Login {
        /// Username
        user: String,
    },
    /// Print a completion script for a shell
    Completions {
        /// Shell: bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages to a directory
    Man {
        /// Output directory
        dir: std::path::PathBuf,
    },
}

/// How `gate` prints its answer.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GateFormat {
    /// The verdict and the failures, one per line.
    Text,
    /// The server's document.
    Json,
    /// A table for a comment on a pull request.
    Markdown,
}

/// What `gate` does without an answer.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnOutage {
    /// Exit with 3.
    Fail,
    /// Warn and exit with 0.
    Pass,
}

#[derive(Subcommand)]
pub(crate) enum Action {
    /// Create a project
    Create {
        /// Name of the project in URLs
        project: String,
        /// Display name [default: the name in URLs]
        #[arg(long)]
        name: Option<String>,
    },
    /// Change the display name of a project
    Update {
        /// Name of the project in URLs
        project: String,
        /// New display name
        #[arg(long)]
        name: String,
    },
    /// Delete a project and all its builds
    Delete {
        /// Name of the project in URLs
        project: String,
        /// Do not ask for confirmation
        #[arg(long, short = 'y')]
        yes: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum Queue {
    /// List the builds with queued reports
    List,
    /// Drop the queued reports of some builds; the server keeps what it has already stored
    Drop {
        /// Ids of the builds
        #[arg(required_unless_present = "all")]
        builds: Vec<String>,
        /// Drop the queued reports of all builds
        #[arg(long, conflicts_with = "builds")]
        all: bool,
    },
}

/// Longer than anybody waits, in seconds.
pub(crate) const YEAR: u64 = 365 * 86_400;

/// Whether a command gets a terminal.
#[derive(clap::Args, Clone, Copy)]
pub(crate) struct Terminal {
    /// Give the command a terminal, on which it shows colours and progress; its two outputs are then one. The default
    /// where standard output is a terminal
    #[arg(long, overrides_with = "no_pty")]
    pty: bool,
    /// Give the command no terminal
    #[arg(long)]
    no_pty: bool,
}

impl Terminal {
    pub(crate) fn is_wanted(self) -> bool {
        self.pty || (!self.no_pty && std::io::stdout().is_terminal())
    }
}

/// How long and how often.
#[derive(clap::Args, Clone, Copy)]
pub(crate) struct Patience {
    /// Seconds to wait at the end for the server to accept the remaining reports
    #[arg(long, env = "DEVMASON_WAIT", default_value_t = 5)]
    wait: u64,
    /// Minimum interval in seconds between two parts of the output that are sent while a command runs
    #[arg(long, env = "DEVMASON_INTERVAL", default_value_t = 1)]
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
