//! Reporting a build: whole commands, or step by step.

use std::ffi::OsString;

use devmason_client::{About, Owner, Place, Report, Session, Step, Timestamp, fresh_id};
use devmason_domain::BuildKey;
use devmason_hypermedia::Resource;

use super::{Problem, files, gate, outbox, print, run, say};
use crate::cli::Patience;
use crate::outbox::{Outbox, Outcome};
use crate::settings::Settings;

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
pub(super) fn sent(settings: &Settings, about: &About, outcome: Outcome) -> Result<u8, Problem> {
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
pub(super) fn told(result: Result<u8, Problem>) {
    if let Err(problem) = result {
        say(&problem.text);
    }
}

/// The report files of a command, and the gate that judges them.
pub(super) struct Reports<'a> {
    /// The paths or patterns of the files.
    pub(super) patterns: &'a [String],
    /// The rules of the gate, if it decides about the exit code.
    pub(super) gate: Option<&'a str>,
}

pub(super) fn run_build(
    settings: &Settings,
    name: Option<String>,
    id: Option<String>,
    reports: &Reports<'_>,
    (patience, has_terminal): (Patience, bool),
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
    let before = reports.gate.map(|_| files::Before::of(reports.patterns));
    match run::run(&mut outbox, &about.build, &name, command, patience.interval(), has_terminal) {
        Ok(done) => {
            for (query, body) in files::written(reports.patterns, since) {
                outbox.push(outbox::file(&about.build, &query, body));
            }
            // By default it follows from the steps, but the failed step may be the one that was lost.
            let said = (done.code != 0).then_some(false);
            let mut is_stored = false;
            told(outbox::end(&about.build, said).and_then(|end| {
                outbox.push(end);
                let outcome = outbox.finish();
                is_stored = outcome.is_sent() && outcome.flushed.refused.is_empty();
                sent(settings, &about, outcome)
            }));
            // Only what was stored whole can be judged.
            let is_whole = || before.is_some_and(|of| of.brought_whole_reports(reports.patterns));
            match reports.gate.filter(|_| is_stored && is_whole()) {
                None => done.code,
                Some(rules) => gate::judged(settings, &about.build, rules, done.code)
                    .unwrap_or_else(|problem| {
                        say(&format!("no verdict: {}", problem.text));
                        done.code
                    }),
            }
        }
        Err(problem) => {
            say(&problem.text);
            problem.code
        }
    }
}

pub(super) fn run_step(
    settings: &Settings,
    build: &str,
    name: &str,
    (patience, has_terminal): (Patience, bool),
    command: &[OsString],
) -> u8 {
    let (mut outbox, about) = match resume(settings, build, patience) {
        Ok(resumed) => resumed,
        Err(problem) => return run_unreported(&problem.text, command),
    };
    let begun = outbox.begin_step();
    let done =
        run::run(&mut outbox, &about.build, name, command, patience.interval(), has_terminal);
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
pub(super) fn run_unreported(problem: &str, command: &[OsString]) -> u8 {
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

pub(super) fn begin(
    settings: &Settings,
    id: Option<String>,
    patience: Patience,
) -> Result<u8, Problem> {
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
pub(super) fn resume(
    settings: &Settings,
    name: &str,
    patience: Patience,
) -> Result<(Outbox, About), Problem> {
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
pub(super) fn belongs_to_caller(session: &Session) {
    if let (None, Some(owner)) = (Place::detect().ci, Owner::of_this_process()) {
        session.goes_on_with(&owner);
    }
}

pub(super) fn step(
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
