//! The devmason server: settings, logs, the repository, and serving until it is stopped.

mod passwd;
mod settings;

use std::io::Write;
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use clap::{CommandFactory, FromArgMatches};
use devmason_repository::{Repository, open};
use tracing_subscriber::EnvFilter;

use settings::{Cli, Command, LogFormat, Settings};

/// Returns memory to the system after a burst, which the C library's allocator rarely does.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Files reserved for purposes other than connections: database, logs, TLS.
const OTHER_FILES: u64 = 256;

/// How long the database's other users may take to end once the server has stopped.
const LAST_USES: Duration = Duration::from_secs(5);

/// Exit code for invalid settings, an unreachable database or a port in use.
const CANNOT_START: u8 = 2;

fn main() -> ExitCode {
    let done = match parse().and_then(|cli| Ok((Settings::load(cli.settings)?, cli.command))) {
        Ok((settings, None)) => serve(settings),
        Ok((settings, Some(Command::Passwd { username }))) => passwd::run(&settings, &username),
        Err(problem) => Err(problem),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let line = format!("{problem:#}").split_whitespace().collect::<Vec<_>>().join(" ");
            // Without standard error there is nowhere to report it.
            let _ = writeln!(std::io::stderr(), "devmason-server: {line}");
            ExitCode::from(CANNOT_START)
        }
    }
}

/// Parses the command line; of an error, the first line is enough.
fn parse() -> Result<Cli> {
    let matches =
        Cli::command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    matches.map_err(|error| {
        if error.use_stderr() {
            let text = error.to_string();
            anyhow!("{}", text.lines().next().unwrap_or_default().trim_start_matches("error: "))
        } else {
            error.exit()
        }
    })
}

/// Raises the limit on open files as far as the system allows, and reserves some for purposes other
/// than connections.
fn make_room_for_connections(settings: &mut Settings) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let Some(files) = current else { return };
    let room = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX).max(16);
    let connections = &mut settings.api.connections;
    if room < connections.all {
        tracing::warn!(
            files,
            connections = room,
            "the limit on open files allows fewer connections than configured"
        );
        connections.all = room;
    }
}

fn serve(mut settings: Settings) -> Result<()> {
    log_to_stderr(&settings)?;
    if SystemTime::now() < SystemTime::UNIX_EPOCH {
        bail!("the system clock is set before 1970; set the correct time");
    }
    make_room_for_connections(&mut settings);
    let repository = open(&settings.database_url, &settings.storage)?;
    let listener = TcpListener::bind(&settings.listen)
        .with_context(|| format!("cannot listen on {}", settings.listen))?;
    let address = listener.local_addr()?;
    let scheme = if settings.api.tls.is_some() { "https" } else { "http" };

    let kept = repository.clone();
    let served = actix_web::rt::System::new()
        .block_on(async move {
            let mut terminate =
                tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
            let shutdown = async move {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = tokio::signal::ctrl_c() => {}
                }
                tracing::info!("stopping");
            };
            // On standard output, so that the process that started the server learns its port.
            writeln!(std::io::stdout(), "devmason-server is ready at {scheme}://{address}")?;
            devmason_api::serve(listener, settings.api, repository, shutdown).await
        })
        .context("cannot serve");
    close(kept);
    served
}

/// Closes the database once its other users are gone. The last owner closes it, and SQLite then writes its log into
/// the database file; the end of the process would cut another thread off in the middle of that.
fn close(repository: Arc<dyn Repository>) {
    let deadline = Instant::now() + LAST_USES;
    while Arc::strong_count(&repository) > 1 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn log_to_stderr(settings: &Settings) -> Result<()> {
    let filter = EnvFilter::try_new(&settings.log).context("log")?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    match settings.log_format {
        LogFormat::Text => {
            builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init()
        }
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
