//! The devmason server: settings, logs, the repository, and serving until told to stop.

mod passwd;
mod settings;

use std::io::Write;
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{CommandFactory, FromArgMatches};
use devmason_repository::open;
use tracing_subscriber::EnvFilter;

use settings::{Cli, Command, LogFormat, Settings};

/// Gives memory back to the system when a burst is over, which the C library's allocator hardly does.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How many files are kept for what is no connection: the database, logs, TLS.
const OTHER_FILES: u64 = 256;

/// Wrong settings, an unreachable database, a taken port.
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
            let line = problem.split_whitespace().collect::<Vec<_>>().join(" ");
            // With standard error gone there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "devmason-server: {line}");
            ExitCode::from(CANNOT_START)
        }
    }
}

/// Reads the command line; of what is wrong with it, the first line says enough.
fn parse() -> Result<Cli, String> {
    let matches =
        Cli::command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    matches.map_err(|error| {
        if error.use_stderr() {
            let text = error.to_string();
            text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
        } else {
            error.exit()
        }
    })
}

/// Raises the limit of open files as far as the system allows, and leaves some of them to what is no connection.
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
            "the limit of open files leaves fewer connections"
        );
        connections.all = room;
    }
}

fn serve(mut settings: Settings) -> Result<(), String> {
    log_to_stderr(&settings)?;
    if SystemTime::now() < SystemTime::UNIX_EPOCH {
        return Err("the clock says that it is before 1970, of which no answer can be".to_owned());
    }
    make_room_for_connections(&mut settings);
    let repository =
        open(&settings.database_url, &settings.storage).map_err(|error| error.chain())?;
    let listener = TcpListener::bind(&settings.listen)
        .map_err(|error| format!("cannot listen on {}: {error}", settings.listen))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let scheme = if settings.api.tls.is_some() { "https" } else { "http" };

    actix_web::rt::System::new()
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
            // On standard output, so that whoever started the server learns its port.
            writeln!(std::io::stdout(), "devmason-server is ready at {scheme}://{address}")?;
            devmason_api::serve(listener, settings.api, repository, shutdown).await
        })
        .map_err(|error| format!("cannot serve: {error}"))
}

fn log_to_stderr(settings: &Settings) -> Result<(), String> {
    let filter = EnvFilter::try_new(&settings.log).map_err(|error| format!("log: {error}"))?;
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
