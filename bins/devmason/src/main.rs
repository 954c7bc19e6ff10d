//! The devmason command: reports builds and test runs from anywhere, and shows them.

mod files;
mod outbox;
mod run;
mod settings;
mod show;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};
use devmason_client::{About, Credentials, Report, Step, Timestamp, blocking, fresh_id};
use devmason_domain::{BuildKey, Slug};
use devmason_hypermedia::Resource;

use outbox::{Outbox, Outcome};
use settings::{Layer, Settings};

/// What ends the command with another code than 0.
pub(crate) struct Problem {
    code: u8,
    text: String,
}

impl Problem {
    /// The server refused, or a build failed.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self { code: 1, text: text.into() }
    }
    /// A setting or an argument is wrong.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { code: 2, text: text.into() }
    }
    /// The server could not be reached; what was to be reported is kept.
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

/// Reports builds and test runs to a devmason server, and shows them.
///
/// Reports are kept on disk until the server has them: a server that is away neither loses one nor fails a build.
///
/// Exit codes: 0 done, or kept and sent with the next report or by `devmason flush`; 1 the server refused, or what
/// was asked about failed; 2 wrong arguments or settings; 3 the server was not reached, where something is read from
/// it, flushed, or reported with --strict. `run` and `step` with a command exit as the command does, 127 if there is no such command, 126 if it
/// can't be run, 128 and the signal's number if one ended it.
#[derive(Parser)]
#[command(name = "devmason", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: Layer,
}

#[derive(Subcommand)]
enum Command {
    /// Run a command as a build: its output is sent while it runs, its exit code is passed on
    Run {
        /// What the step is called [default: the command]
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
        command: Vec<String>,
    },
    /// Begin a build of several steps; prints what DEVMASON_BUILD is to be for `step`, `report` and `end`
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
        #[arg(long, short = 'b', env = "DEVMASON_BUILD")]
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
        command: Vec<String>,
    },
    /// End a build that was begun; whether it succeeded follows from its steps unless said
    End {
        /// What `begin` printed
        #[arg(long, short = 'b', env = "DEVMASON_BUILD")]
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
    /// Report what test tools wrote: JUnit XML, TAP, `go test -json`, CTRF, TRX and others
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
    /// Say whether the server is there, who one is to it, and what is still to be sent
    Status,
    /// List the project's builds, the newest first
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
    /// Wait until a build is finished; exits with 0 if it succeeded, 1 if not, 3 if it takes too long
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
    /// Keep a user's password for the server, asked for or read from standard input
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
enum Action {
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
    },
}

/// How long and how often.
#[derive(clap::Args, Clone, Copy)]
struct Patience {
    /// How many seconds to wait at the end for the server to take what is left
    #[arg(long, env = "DEVMASON_WAIT", default_value_t = 10)]
    wait: u64,
    /// After how many seconds output is sent while a command runs
    #[arg(long, env = "DEVMASON_INTERVAL", default_value_t = 10)]
    interval: u64,
}

impl Patience {
    fn wait(self) -> Duration {
        Duration::from_secs(self.wait)
    }
    fn interval(self) -> Duration {
        Duration::from_secs(self.interval.max(1))
    }
}

/// Tells on standard error.
pub(crate) fn say(text: &str) {
    // With standard error gone there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "devmason: {text}");
}

/// Prints on standard output.
pub(crate) fn print(text: &str) -> Result<(), Problem> {
    match writeln!(std::io::stdout(), "{text}") {
        // Whoever read has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| Problem::failed(error.to_string())),
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match Settings::load(cli.settings).and_then(|settings| act(&settings, cli.command)) {
        Ok(code) => ExitCode::from(code),
        Err(problem) => {
            say(&problem.text);
            ExitCode::from(problem.code)
        }
    }
}

fn act(settings: &Settings, command: Command) -> Result<u8, Problem> {
    match command {
        Command::Run { name, id, report, patience, command } => {
            Ok(run_build(settings, name, id, &report, patience, &command))
        }
        Command::Begin { id, patience } => begin(settings, id, patience),
        Command::Step { build, name, patience, command, .. } if !command.is_empty() => {
            Ok(run_step(settings, &build, &name, patience, &command))
        }
        Command::Step { build, .. } | Command::End { build, .. } if build.is_empty() => {
            say("not reported: nothing was begun");
            Ok(if settings.strict { 3 } else { 0 })
        }
        Command::End { build, success, failed, patience } => {
            let said = (success || failed).then_some(success);
            let (mut outbox, about) = resume(settings, &build)?;
            outbox.push(outbox::end(&about.build, said)?);
            sent(settings, &about, outbox.finish(patience.wait()))
        }
        Command::Step { build, name, failed, output, patience, .. } => {
            step(settings, &build, name, !failed, output.as_deref(), patience)
        }
        Command::Report { build, id, check, patience, files } => {
            files::report(settings, build.as_deref(), id.as_deref(), check, patience.wait(), &files)
        }
        Command::Flush => flush(settings),
        Command::Status => show::status(settings),
        Command::Builds { conditions, limit } => {
            show::builds(settings, conditions.as_deref(), limit)
        }
        Command::Show { build, output } => show::build(settings, &build, output),
        Command::Tests { build, status, failed } => show::tests(settings, &build, &status, failed),
        Command::Wait { build, timeout } => {
            show::wait(settings, &build, Duration::from_secs(timeout))
        }
        Command::Tags => show::tags(settings),
        Command::Project { action } => project(settings, action),
        Command::Login { user } => login(settings, user),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "devmason", &mut std::io::stdout());
            Ok(0)
        }
        Command::Man { dir } => clap_mangen::generate_to(Cli::command(), &dir)
            .map(|()| 0)
            .map_err(|error| Problem::failed(format!("{}: {error}", dir.display()))),
    }
}

/// A build of this client's: which it will be.
pub(crate) fn about(settings: &Settings, id: Option<&str>) -> Result<About, Problem> {
    let project = settings.project()?;
    let id = match id {
        Some(id) => settings.place.fill(id).ok_or_else(|| {
            Problem::usage(format!("id: '{id}' names something that is not known here"))
        })?,
        None => fresh_id(),
    };
    let key: BuildKey = id.parse().map_err(|error| Problem::usage(format!("id: {error}")))?;
    let build = Resource::Build(project.clone(), key).path();
    Ok(About { server: settings.server.clone(), project: project.to_string(), build })
}

/// The beginning of an incremental build.
pub(crate) fn beginning(settings: &Settings) -> Report {
    Report {
        incremental: true,
        started: Some(Timestamp::now()),
        tags: settings.tags.clone(),
        client: settings.place.record(),
        ..Report::default()
    }
}

/// Says what became of a report; the code to exit with.
fn sent(settings: &Settings, about: &About, outcome: Outcome) -> Result<u8, Problem> {
    let url = format!("{}{}", about.server, about.build);
    for refused in &outcome.flushed.refused {
        say(&format!("refused: {refused}"));
    }
    for other in &outcome.others {
        say(&format!("a report that was kept before is not sent: {other}"));
    }
    if outcome.is_sent() {
        if !settings.quiet {
            say(&format!("reported to {url}"));
        }
        return Ok(0);
    }
    let unsent = |text: String| {
        if settings.strict {
            return Err(Problem::later(text));
        }
        say(&text);
        Ok(0)
    };
    let why = outcome.stopped.map(|error| format!(": {error}")).unwrap_or_default();
    if outcome.lost > 0 {
        return unsent(format!("{} requests of {url} are lost{why}", outcome.lost));
    }
    if outcome.flushed.left > 0 {
        let text =
            format!("{url} is kept, and sent with the next report or by 'devmason flush'{why}");
        return unsent(text);
    }
    Err(Problem::failed(format!("a part of {url} was refused")))
}

/// The same where a command ran, whose code counts.
fn told(result: Result<u8, Problem>) {
    if let Err(problem) = result {
        say(&problem.text);
    }
}

fn run_build(
    settings: &Settings,
    name: Option<String>,
    id: Option<String>,
    reports: &[String],
    patience: Patience,
    command: &[String],
) -> u8 {
    let begun = about(settings, id.as_deref()).and_then(|about| {
        let mut outbox = Outbox::begin(settings, about.clone(), true)?;
        outbox.push(outbox::build(&about.build, &beginning(settings))?);
        Ok((outbox, about))
    });
    let (mut outbox, about) = match begun {
        Ok(begun) => begun,
        Err(problem) => return run_unreported(&problem, command),
    };
    let name = name.unwrap_or_else(|| run::name_of(command));
    let since = std::time::SystemTime::now();
    match run::run(&mut outbox, &about.build, &name, command, patience.interval()) {
        Ok(done) => {
            for (query, body) in files::written(reports, since) {
                outbox.push(outbox::file(&about.build, &query, body));
            }
            told(outbox::end(&about.build, None).and_then(|end| {
                outbox.push(end);
                sent(settings, &about, outbox.finish(patience.wait()))
            }));
            done.code
        }
        Err(problem) => {
            say(&problem.text);
            problem.code
        }
    }
}

fn run_step(
    settings: &Settings,
    build: &str,
    name: &str,
    patience: Patience,
    command: &[String],
) -> u8 {
    let (mut outbox, about) = match resume(settings, build) {
        Ok(resumed) => resumed,
        Err(problem) => return run_unreported(&problem, command),
    };
    match run::run(&mut outbox, &about.build, name, command, patience.interval()) {
        Ok(done) => {
            told(sent(settings, &about, outbox.finish(patience.wait())));
            done.code
        }
        Err(problem) => {
            say(&problem.text);
            problem.code
        }
    }
}

/// Reporting must not keep a build from running, whatever is wrong with it.
fn run_unreported(problem: &Problem, command: &[String]) -> u8 {
    use std::os::unix::process::CommandExt;
    say(&format!("not reported: {}", problem.text));
    let [program, arguments @ ..] = command else { return 2 };
    // It takes this process's place: signals, terminal and exit code are its own.
    let error = std::process::Command::new(program).args(arguments).exec();
    say(&format!("{program}: {error}"));
    if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 }
}

fn begin(settings: &Settings, id: Option<String>, patience: Patience) -> Result<u8, Problem> {
    let about = about(settings, id.as_deref())?;
    let build = outbox::build(&about.build, &beginning(settings))?;
    let begun = settings.spool().and_then(|spool| {
        let session = spool.begin(about.clone()).map_err(|error| error.to_string())?;
        let kept = session.keep_open().and_then(|()| session.push(&build));
        kept.map(|()| session).map_err(|error| error.to_string())
    });
    let session = match begun {
        Ok(session) => session,
        // Nothing is printed, and the steps will run unreported.
        Err(problem) => {
            say(&format!("not reported: {problem}"));
            return Ok(if settings.strict { 3 } else { 0 });
        }
    };
    print(&session.name())?;
    let outcome = Outbox::resume(settings, session)?.finish(patience.wait());
    if !outcome.flushed.refused.is_empty() {
        return sent(settings, &about, outcome);
    }
    // Later steps bring it along if it could not be sent now.
    if let Some(error) = outcome.stopped {
        say(&format!("{}{} is kept: {error}", about.server, about.build));
    }
    Ok(0)
}

/// A build that another process began.
fn resume(settings: &Settings, name: &str) -> Result<(Outbox, About), Problem> {
    let session = settings
        .spool()
        .and_then(|spool| spool.session(name).map_err(|error| error.to_string()))
        .map_err(|error| {
            Problem::usage(format!("build: there is none '{name}' that was begun here: {error}"))
        })?;
    let about = session.about().clone();
    if about.server != settings.server {
        let problem =
            format!("build: it was begun at {}, not at {}", about.server, settings.server);
        return Err(Problem::usage(problem));
    }
    Ok((Outbox::resume(settings, session)?, about))
}

fn step(
    settings: &Settings,
    build: &str,
    name: String,
    success: bool,
    output: Option<&str>,
    patience: Patience,
) -> Result<u8, Problem> {
    let output = match output {
        Some(path) => String::from_utf8_lossy(&files::read(path)?).into_owned(),
        None => String::new(),
    };
    let now = Some(Timestamp::now());
    let step = Step { name, success, output, started: now, finished: now, ..Step::default() };
    let (mut outbox, about) = resume(settings, build)?;
    outbox.push(outbox::step(&about.build, &step)?);
    sent(settings, &about, outbox.finish(patience.wait()))
}

fn flush(settings: &Settings) -> Result<u8, Problem> {
    let client = blocking::Client::new(settings.client()?)?;
    let spool = settings.spool().map_err(Problem::failed)?;
    let mut flushed = devmason_client::Flushed::default();
    let result = client.wait(spool.flush(client.inner(), &mut flushed));
    for refused in &flushed.refused {
        say(&format!("refused: {refused}"));
    }
    if !settings.quiet {
        say(&format!("{} requests sent, {} left", flushed.sent, flushed.left));
    }
    result?;
    Ok(u8::from(!flushed.refused.is_empty()))
}

fn project(settings: &Settings, action: Action) -> Result<u8, Problem> {
    let client = blocking::Client::new(settings.client()?)?;
    let slug = |text: &str| {
        text.parse::<Slug>().map_err(|error| Problem::usage(format!("project: {error}")))
    };
    let (url, word) = match action {
        Action::Create { project, name } => {
            let slug = slug(&project)?;
            client.put_project(&slug, name.as_deref().unwrap_or(&project))?;
            (Resource::Project(slug).path(), "registered")
        }
        Action::Update { project, name } => {
            let slug = slug(&project)?;
            // Only one that is there.
            client.project(&slug)?;
            client.put_project(&slug, &name)?;
            (Resource::Project(slug).path(), "renamed")
        }
        Action::Delete { project } => {
            let path = Resource::Project(slug(&project)?).path();
            let delete = devmason_client::Outgoing::new(devmason_client::Method::DELETE, &path);
            client.send(&delete)?;
            (path, "deleted")
        }
    };
    if !settings.quiet {
        say(&format!("{word} {}{url}", settings.server));
    }
    Ok(0)
}

fn login(settings: &Settings, user: String) -> Result<u8, Problem> {
    use std::io::IsTerminal;
    let password = if std::io::stdin().is_terminal() {
        rpassword::prompt_password(format!("Password of {user} at {}: ", settings.server))
    } else {
        std::io::read_to_string(std::io::stdin())
            .map(|text| text.trim_end_matches(['\n', '\r']).to_owned())
    };
    let password = password.map_err(|error| Problem::failed(format!("password: {error}")))?;
    if password.is_empty() {
        return Err(Problem::usage("password: it is empty"));
    }
    let path = settings.keep(Credentials { user, password })?;
    if !settings.quiet {
        say(&format!("kept in {}", path.display()));
    }
    Ok(0)
}
