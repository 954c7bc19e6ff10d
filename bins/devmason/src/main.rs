//! The devmason command: reports builds and test results from anywhere, and shows them.

mod account;
mod building;
mod cli;
mod files;
mod gate;
mod outbox;
mod run;
mod settings;
mod show;
mod verdict;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory;
use devmason_client::{Document, sieve};

use account::{flush, login, project, queue};
use building::{about, begin, beginning, resume, run_build, run_step, run_unreported, sent, step};
use cli::{Cli, Command, GateFormat};
use settings::Settings;
use show::Which;

/// An error with the exit code of the command.
pub(crate) struct Problem {
    code: u8,
    text: String,
}

impl Problem {
    /// The server refused, or a build failed.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self { code: 1, text: text.into() }
    }
    /// A setting or an argument is invalid.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { code: 2, text: text.into() }
    }
    /// The server was unreachable; reports are queued.
    pub(crate) fn later(text: impl Into<String>) -> Self {
        Self { code: 3, text: text.into() }
    }
}

impl From<devmason_client::Error> for Problem {
    fn from(error: devmason_client::Error) -> Self {
        if error.is_temporary() {
            Self::later(error.to_string())
        } else {
            Self::failed(error.to_string())
        }
    }
}

/// Prints one line to standard error. It is sanitized, so that a server's message cannot imitate
/// other output.
pub(crate) fn say(text: &str) {
    // Without standard error there is nowhere to report it.
    let _ = writeln!(std::io::stderr(), "devmason: {}", sieve::line(text));
}

/// Prints a line on standard output.
pub(crate) fn print(text: &str) -> Result<(), Problem> {
    print_as_is(&sieve::line(text))
}

/// Prints a document on standard output, as JSON.
pub(crate) fn print_json(document: &Document) -> Result<(), Problem> {
    print_as_is(&sieve::json(&document.0))
}

/// Prints a program's output to standard output, with colours on a terminal.
pub(crate) fn print_output(text: &str) -> Result<(), Problem> {
    let text = text.trim_end_matches('\n');
    print_as_is(&if std::io::stdout().is_terminal() {
        sieve::coloured(text)
    } else {
        sieve::lines(text)
    })
}

fn print_as_is(text: &str) -> Result<(), Problem> {
    match writeln!(std::io::stdout(), "{text}") {
        // The reader has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| Problem::failed(error.to_string())),
    }
}

fn main() -> ExitCode {
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(not_understood(&error)),
    };
    let result = match (Settings::load(cli.settings), cli.command) {
        (Ok(settings), command) => act(&settings, command),
        (Err(problem), Command::Run { command, .. } | Command::Step { command, .. })
            if !command.is_empty() =>
        {
            Ok(run_unreported(&problem.text, &command))
        }
        (Err(problem), _) => Err(problem),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(problem) => {
            say(&problem.text);
            ExitCode::from(problem.code)
        }
    }
}

/// An invalid command line or environment: a command still runs, only unreported.
fn not_understood(error: &clap::Error) -> u8 {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut halves = words.splitn(2, |word| word == "--");
    let (ours, command) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
    let is_to_run = ours.iter().any(|word| word == "run" || word == "step");
    if error.use_stderr() && is_to_run && !command.is_empty() {
        return run_unreported(error.render().to_string().trim_end(), command);
    }
    // If standard output is closed, ignore it.
    let _ = error.print();
    u8::try_from(error.exit_code()).unwrap_or(2)
}

fn act(settings: &Settings, command: Command) -> Result<u8, Problem> {
    match command {
        Command::Run { name, id, report, gate, terminal, patience, command } => {
            let gate = gate.as_deref().map(gate::checked).transpose()?;
            let reports = building::Reports { patterns: &report, gate };
            Ok(run_build(settings, name, id, &reports, (patience, terminal.is_wanted()), &command))
        }
        Command::Begin { id, patience } => begin(settings, id, patience),
        Command::Step { build, name, terminal, patience, command, .. } if !command.is_empty() => {
            Ok(run_step(settings, &build, &name, (patience, terminal.is_wanted()), &command))
        }
        Command::Step { build, .. } | Command::End { build, .. } if build.is_empty() => {
            say("not reported: no build was begun");
            Ok(if settings.strict { 3 } else { 0 })
        }
        Command::End { build, success, failed, patience } => {
            let said = (success || failed).then_some(success);
            let (mut outbox, about) = resume(settings, &build, patience)?;
            outbox.push(outbox::end(&about.build, said)?);
            sent(settings, &about, outbox.finish())
        }
        Command::Step { build, name, failed, output, patience, .. } => {
            step(settings, &build, name, !failed, output.as_deref(), patience)
        }
        Command::Report { build, id, check, patience, files } => {
            files::report(settings, build.as_deref(), id.as_deref(), check, patience, &files)
        }
        Command::Flush => flush(settings),
        Command::Queue { action } => queue(settings, &action),
        Command::Status => show::status(settings),
        Command::Builds { conditions, branch, track, limit } => {
            show::builds(settings, (conditions, branch, track), limit)
        }
        Command::Gate {
            build,
            revision,
            all_variants,
            baseline,
            merge_base,
            rules,
            wait,
            format,
            on_outage,
        } => {
            let target = gate::Target::of(settings, build, revision)?;
            let question = gate::Question {
                target: &target,
                all_variants,
                baseline: baseline.as_deref(),
                merge_base: merge_base.as_deref(),
                rules: rules.as_deref(),
                wait: Duration::from_secs(wait.min(cli::YEAR)),
                format: if settings.json { GateFormat::Json } else { format },
                on_outage,
            };
            gate::gate(settings, &question)
        }
        Command::Show { build, branch, track, output } => {
            show::build(settings, &Which::of(build, branch, track), output)
        }
        Command::Tests { build, branch, track, status, failed } => {
            show::tests(settings, &Which::of(build, branch, track), &status, failed)
        }
        Command::Wait { build, timeout } => {
            show::wait(settings, &build, Duration::from_secs(timeout))
        }
        Command::Tags => show::tags(settings),
        Command::Project { action } => project(settings, action),
        Command::Login { user } => login(settings, user),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "devmason", &mut script);
            print_as_is(String::from_utf8_lossy(&script).trim_end()).map(|()| 0)
        }
        Command::Man { dir } => clap_mangen::generate_to(Cli::command(), &dir)
            .map(|()| 0)
            .map_err(|error| Problem::failed(format!("{}: {error}", dir.display()))),
    }
}
