//! The devmason command: reports builds and test results from anywhere, and shows them.

mod cli;
mod files;
mod outbox;
mod run;
mod settings;
mod show;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory;
use devmason_client::{
    About, Client, Credentials, Document, Owner, Place, Report, Session, Step, Timestamp, blocking,
    fresh_id, sieve,
};
use devmason_domain::{BuildKey, Slug};
use devmason_hypermedia::Resource;

use cli::{Action, Cli, Command, Patience, Queue};
use outbox::{Outbox, Outcome};
use settings::Settings;

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
        Command::Run { name, id, report, patience, command } => {
            Ok(run_build(settings, name, id, &report, patience, &command))
        }
        Command::Begin { id, patience } => begin(settings, id, patience),
        Command::Step { build, name, patience, command, .. } if !command.is_empty() => {
            Ok(run_step(settings, &build, &name, patience, &command))
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
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "devmason", &mut script);
            print_as_is(String::from_utf8_lossy(&script).trim_end()).map(|()| 0)
        }
        Command::Man { dir } => clap_mangen::generate_to(Cli::command(), &dir)
            .map(|()| 0)
            .map_err(|error| Problem::failed(format!("{}: {error}", dir.display()))),
    }
}

/// The identity of a build from this client.
pub(crate) fn about(settings: &Settings, id: Option<&str>) -> Result<About, Problem> {
    let project = settings.project()?;
    let id = match id {
        Some(id) => settings.place.fill(id).ok_or_else(|| {
            Problem::usage(format!("id: '{id}' contains a placeholder that is unknown here"))
        })?,
        None => fresh_id(),
    };
    let key: BuildKey = id.parse().map_err(|error| Problem::usage(format!("id: {error}")))?;
    let build = Resource::Build(project.clone(), key).path();
    let (server, create) = (settings.server.clone(), settings.create);
    let user = settings.client()?.user().map(str::to_owned);
    Ok(About { server, project: project.to_string(), build, user, create })
}

/// The initial report of an incremental build.
pub(crate) fn beginning(settings: &Settings) -> Report {
    Report {
        incremental: true,
        started: Some(Timestamp::now()),
        tags: settings.tags.clone(),
        client: settings.place.record(),
        ..Report::default()
    }
}

/// Prints the outcome of a report; returns the exit code.
fn sent(settings: &Settings, about: &About, outcome: Outcome) -> Result<u8, Problem> {
    let url = about.url();
    for refused in &outcome.flushed.refused {
        say(&format!("refused: {refused}"));
    }
    for other in &outcome.others {
        say(&format!("a queued report could not be sent: {other}"));
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
        return unsent(format!("{url}: {} requests lost{why}", outcome.lost));
    }
    if outcome.flushed.left > 0 {
        let text = format!(
            "{url}: saved locally; it will be retried with the next report, or run 'devmason flush'{why}"
        );
        return unsent(text);
    }
    Err(Problem::failed(format!("{url}: the server refused part of the report")))
}

/// The same after a command, whose exit code takes precedence.
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
    command: &[OsString],
) -> u8 {
    let begun = about(settings, id.as_deref()).and_then(|about| {
        let mut outbox = Outbox::begin(settings, about.clone(), true, patience.wait())?;
        outbox.push(outbox::build(&about.build, &beginning(settings))?);
        Ok((outbox, about))
    });
    let (mut outbox, about) = match begun {
        Ok(begun) => begun,
        Err(problem) => return run_unreported(&problem.text, command),
    };
    let name = name.unwrap_or_else(|| run::name_of(command, settings.whole_command));
    let since = std::time::SystemTime::now();
    match run::run(&mut outbox, &about.build, &name, command, patience.interval()) {
        Ok(done) => {
            for (query, body) in files::written(reports, since) {
                outbox.push(outbox::file(&about.build, &query, body));
            }
            // By default it follows from the steps, but the failed step may be the one that was lost.
            let said = (done.code != 0).then_some(false);
            told(outbox::end(&about.build, said).and_then(|end| {
                outbox.push(end);
                sent(settings, &about, outbox.finish())
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
    command: &[OsString],
) -> u8 {
    let (mut outbox, about) = match resume(settings, build, patience) {
        Ok(resumed) => resumed,
        Err(problem) => return run_unreported(&problem.text, command),
    };
    let begun = outbox.begin_step();
    let done = run::run(&mut outbox, &about.build, name, command, patience.interval());
    outbox.end_step(begun);
    match done {
        Ok(done) => {
            told(sent(settings, &about, outbox.finish()));
            done.code
        }
        Err(problem) => {
            say(&problem.text);
            problem.code
        }
    }
}

/// Runs the command even if it cannot be reported, for whatever reason.
fn run_unreported(problem: &str, command: &[OsString]) -> u8 {
    use std::os::unix::process::CommandExt;
    say(&format!("not reported: {problem}"));
    let [program, arguments @ ..] = command else { return 2 };
    // It replaces this process, and so owns signals, terminal and exit code.
    let mut error = run::direct(program, arguments).exec();
    if run::is_script(&error) {
        error = run::script(program, arguments).exec();
    }
    say(&format!("{}: {error}", program.display()));
    if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 }
}

fn begin(settings: &Settings, id: Option<String>, patience: Patience) -> Result<u8, Problem> {
    let about = about(settings, id.as_deref())?;
    let build = outbox::build(&about.build, &beginning(settings))?;
    let begun = settings.spool().and_then(|spool| {
        let session = spool.begin(about.clone()).map_err(|error| error.to_string())?;
        belongs_to_caller(&session);
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
    print(about.id())?;
    let outcome = Outbox::resume(settings, session, patience.wait())?.finish();
    if !outcome.flushed.refused.is_empty() {
        return sent(settings, &about, outcome);
    }
    // If it could not be sent now, later steps send it as well.
    if let Some(error) = outcome.stopped {
        say(&format!("{}{}: saved locally: {error}", about.server, about.build));
    }
    Ok(0)
}

/// Resumes a build that another process began.
fn resume(settings: &Settings, name: &str, patience: Patience) -> Result<(Outbox, About), Problem> {
    if name.is_empty() {
        return Err(Problem::usage("build: none was begun; run 'devmason begin' first"));
    }
    let spool = settings.spool().map_err(|error| Problem::usage(format!("build: {error}")))?;
    let project = settings.project.as_deref();
    let session = spool.session_of(&settings.server, project, name).ok_or_else(|| {
        Problem::usage(format!("build: '{name}' was not begun here, or has already ended"))
    })?;
    let about = session.about().clone();
    if about.server != settings.server {
        let problem = format!("build: begun at {}, not at {}", about.server, settings.server);
        return Err(Problem::usage(problem));
    }
    belongs_to_caller(&session);
    Ok((Outbox::resume(settings, session, patience.wait())?, about))
}

/// Ties a build to the script that reports it, so that it ends with the script. Not on a CI system,
/// where each command may have its own shell.
fn belongs_to_caller(session: &Session) {
    if let (None, Some(owner)) = (Place::detect().ci, Owner::of_this_process()) {
        session.goes_on_with(&owner);
    }
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
        Some(path) => String::from_utf8_lossy(&files::read(path.as_ref())?).into_owned(),
        None => String::new(),
    };
    let now = Some(Timestamp::now());
    let step = Step { name, success, output, started: now, finished: now, ..Step::default() };
    let (mut outbox, about) = resume(settings, build, patience)?;
    outbox.push(outbox::step(&about.build, &step)?);
    sent(settings, &about, outbox.finish())
}

fn flush(settings: &Settings) -> Result<u8, Problem> {
    let client = blocking::Client::new(settings.client()?)?;
    let spool = settings.spool().map_err(Problem::failed)?;
    let mut flushed = devmason_client::Flushed::default();
    let result = client.wait(spool.flush(client.inner(), None, &mut flushed));
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
            let is_new = client.create_project(&slug, name.as_deref().unwrap_or(&project))?;
            let word = if is_new { "created" } else { "already exists:" };
            (Resource::Project(slug).path(), word)
        }
        Action::Update { project, name } => {
            let slug = slug(&project)?;
            // It must exist.
            client.project(&slug)?;
            client.put_project(&slug, &name)?;
            (Resource::Project(slug).path(), "renamed")
        }
        Action::Delete { project, yes } => {
            let slug = slug(&project)?;
            // A missing project needs no confirmation.
            client.project(&slug)?;
            if !yes && !is_sure(&slug)? {
                return Err(Problem::failed("confirmation does not match; nothing was deleted"));
            }
            let path = Resource::Project(slug).path();
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

/// Asks for confirmation before deleting a project; without a terminal, it must be given in
/// advance.
fn is_sure(project: &Slug) -> Result<bool, Problem> {
    if !std::io::stdin().is_terminal() {
        return Err(Problem::usage(
            "cannot ask for confirmation; pass --yes to delete the project and all its builds",
        ));
    }
    say(&format!("this deletes project '{project}' and all its builds; type its name to confirm"));
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.map_err(|error| Problem::failed(error.to_string()))?;
    Ok(answer.trim() == project.as_str())
}

/// Lists or drops queued reports.
fn queue(settings: &Settings, action: &Queue) -> Result<u8, Problem> {
    let mut sessions = settings.spool().map_err(Problem::failed)?.sessions();
    sessions.retain(|session| session.waiting() > 0);
    let (builds, all) = match action {
        Queue::List if settings.json => {
            return print_json(&Document(show::queued(&sessions))).map(|()| 0);
        }
        Queue::List => {
            sessions.iter().try_for_each(|session| print(&show::waiting(session)))?;
            return Ok(0);
        }
        Queue::Drop { builds, all } => (builds, *all),
    };
    let is_of = |id: &String, about: &About| *id == about.id() || *id == about.url();
    let is_there = |id: &&String| sessions.iter().any(|session| is_of(id, session.about()));
    if let Some(id) = builds.iter().find(|id| !is_there(id)) {
        return Err(Problem::usage(format!("builds: no queued reports for '{id}'")));
    }
    for session in sessions {
        let url = session.about().url();
        if all || builds.iter().any(|id| is_of(id, session.about())) {
            session.discard().map_err(|error| Problem::failed(format!("{url}: {error}")))?;
            if !settings.quiet {
                say(&format!("dropped the queued reports of {url}"));
            }
        }
    }
    Ok(0)
}

/// Checks a username and password with the server; succeeds if it is unreachable.
fn verify(settings: &Settings, credentials: &Credentials) -> Result<(), Problem> {
    let client = Client::new(&settings.server, Some(credentials.clone()))
        .map_err(|error| Problem::usage(error.to_string()))?;
    let client = blocking::Client::new(client)?;
    let user =
        credentials.user.parse().map_err(|error| Problem::usage(format!("user: {error}")))?;
    match client.get(&Resource::User(user).path()) {
        Ok(_) => Ok(()),
        Err(error) if error.status() == Some(404) => {
            say(&format!(
                "user '{}' does not exist yet; the first report creates it",
                credentials.user
            ));
            Ok(())
        }
        Err(error) if error.is_temporary() => {
            say(&format!("could not verify the password: {error}"));
            Ok(())
        }
        Err(error) if error.status() == Some(401) => {
            Err(Problem::failed(format!("password not saved: {error}")))
        }
        Err(error) => Err(error.into()),
    }
}

fn login(settings: &Settings, user: String) -> Result<u8, Problem> {
    // Checked before it is printed, and before it names queued reports.
    Client::new(&settings.server, None).map_err(|error| Problem::usage(error.to_string()))?;
    let password = if std::io::stdin().is_terminal() {
        let prompt = format!("Password for {user} at {}: ", settings.server);
        rpassword::prompt_password(sieve::line(&prompt))
    } else {
        std::io::read_to_string(std::io::stdin())
            .map(|text| text.trim_end_matches(['\n', '\r']).to_owned())
    };
    let password = password.map_err(|error| Problem::failed(format!("password: {error}")))?;
    if password.is_empty() {
        return Err(Problem::usage("password: must not be empty"));
    }
    let credentials = Credentials { user, password };
    verify(settings, &credentials)?;
    let path = settings.keep(credentials)?;
    if !settings.quiet {
        say(&format!("saved to {}", path.display()));
    }
    Ok(0)
}
