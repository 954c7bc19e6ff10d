//! `devmason run`: runs a command as a build, or as a step of one.

mod terminal;
mod written;

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use devmason_client::{Step, Timestamp};
use serde_json::{Value, json};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;

use crate::outbox::{self, Outbox};
use crate::{Problem, say};
use terminal::Terminal;
use written::Written;

/// Send what was written at once if it is this much, in bytes.
const PIECE_BYTES: usize = 1 << 20;

/// When this many bytes are waiting, the command's output is blocked.
const MOST_WRITTEN: usize = 8 << 20;

/// With this many requests waiting to be sent, the server is slow, and pieces become rarer.
const BUSY: usize = 3;

/// The longest time between two pieces of a command that writes, however slow the server is.
const RARELY: Duration = Duration::from_secs(10);

/// How long to wait for output of processes that the command left running.
const LAST_OUTPUT: Duration = Duration::from_secs(2);

/// The maximum capacity of a pipe in bytes, unless an administrator raised it.
const PIPE: usize = 1 << 20;

/// The maximum length of a step's name, in bytes.
const NAME_BYTES: usize = 200;

/// The result of a command.
pub(crate) struct Done {
    /// The exit code: the command's own, or what a shell would return.
    pub(crate) code: u8,
}

/// An event while a command runs.
enum Event {
    /// Something was written, and nothing waited to be sent.
    First,
    /// Much output has accumulated.
    Much,
    /// One of its outputs ended.
    Ended,
    /// The command exited.
    Exited(io::Result<ExitStatus>),
}

/// State shared by the reading threads and the reporting one.
struct Shared {
    begun: Instant,
    written: Mutex<Written>,
    /// Notifies that output was taken.
    room: Condvar,
    /// The number of reading threads that are currently writing output, whose consumer may be slow.
    passing: AtomicUsize,
    /// The number of bytes read since the command ended.
    since_end: AtomicUsize,
}

impl Shared {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            written: Mutex::default(),
            room: Condvar::new(),
            passing: AtomicUsize::new(0),
            since_end: AtomicUsize::new(0),
        }
    }

    /// Milliseconds since the start of the step.
    fn millis(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether output of the command itself may still be in a pipe, which has a limited capacity.
    fn is_passing_on(&self) -> bool {
        self.passing.load(Ordering::SeqCst) > 0 && self.since_end.load(Ordering::SeqCst) < PIPE
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a command's step: its program only, as arguments may be secret; or the whole command
/// line.
pub(crate) fn name_of(command: &[OsString], is_whole: bool) -> String {
    let program =
        command.first().map(|program| Path::new(program).file_name().unwrap_or(program).to_owned());
    let name = if is_whole { command.join(OsStr::new(" ")) } else { program.unwrap_or_default() };
    let mut name = name.to_string_lossy().replace(['\n', '\r', '\t', '\0'], " ").trim().to_owned();
    while name.len() > NAME_BYTES {
        name.pop();
    }
    if name.is_empty() { "command".to_owned() } else { name }
}

/// Sends what a running step writes.
struct Log<'a> {
    outbox: &'a mut Outbox,
    build: &'a str,
    /// The step's name in requests.
    step: String,
    offset: u64,
    sent: Instant,
    interval: Duration,
}

impl Log<'_> {
    /// Sends what was written, if anything was.
    fn send(&mut self, shared: &Shared) -> Result<(), Problem> {
        let piece = shared.written().take();
        shared.room.notify_all();
        if piece.is_empty() {
            return Ok(());
        }
        let entry = outbox::piece(self.build, &self.step, self.offset, &piece)?;
        self.offset += piece.iter().map(|(_, _, text)| text.len() as u64).sum::<u64>();
        self.outbox.push(entry);
        self.sent = Instant::now();
        Ok(())
    }

    /// Whether it is time for the next piece. While the server is slow, it gets fewer and larger ones.
    fn is_due(&self) -> bool {
        let least =
            if self.outbox.waiting() > BUSY { self.interval.max(RARELY) } else { self.interval };
        self.sent.elapsed() >= least
    }
}

/// Runs a command as one step. Its output is passed on immediately and sent while it runs. Only the
/// command's own outcome counts: reporting errors do not change it.
pub(crate) fn run(
    outbox: &mut Outbox,
    build: &str,
    name: &str,
    command: &[OsString],
    interval: Duration,
    has_terminal: bool,
) -> Result<Done, Problem> {
    let [program, arguments @ ..] = command else {
        return Err(Problem::usage("no command given; put it after --"));
    };
    let started = Timestamp::now();
    // Before the command starts, so that no signal is missed.
    let signals = SignalsInfo::<WithOrigin>::new(not_ignored());
    let has_ended = Arc::new(AtomicBool::new(false));
    let spawn = |mut command: Command| {
        if has_terminal {
            return Terminal::start(command).map(|(terminal, child)| (child, Some(terminal)));
        }
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        Ok((child, None))
    };
    let spawned = spawn(direct(program, arguments)).or_else(|error| {
        if is_script(&error) { spawn(script(program, arguments)) } else { Err(error) }
    });
    let (mut child, terminal) = match spawned {
        Ok(spawned) => spawned,
        Err(error) => {
            let problem = format!("{}: {error}", program.display());
            say(&problem);
            // Like a shell: not found, or not executable.
            let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
            let step = Step {
                name: name.to_owned(),
                started: Some(started),
                finished: Some(Timestamp::now()),
                errout: problem,
                extras: json!({ "exit_code": code }).as_object().cloned().unwrap_or_default(),
                ..Step::default()
            };
            outbox.push(outbox::step(build, &step)?);
            return Ok(Done { code });
        }
    };
    if let Ok(signals) = signals {
        forward(signals, child.id(), has_ended.clone(), terminal.as_ref());
    }
    let step = uuid::Uuid::new_v4().to_string();
    let opening = json!({
        "name": name, "state": "running", "started": started.to_rfc3339_utc(),
    });
    outbox.push(outbox::open_step(build, &step, &opening)?);
    let shared = Arc::new(Shared::new());
    let (sender, events) = mpsc::channel();
    shared.written().is_of_terminal = has_terminal;
    let outputs = match &terminal {
        Some(terminal) => [Some(terminal.reader()), None],
        None => pipes(&mut child),
    };
    pass_on(outputs, &shared, &sender, &has_ended);
    thread::spawn(move || {
        let status = child.wait();
        has_ended.store(true, Ordering::SeqCst);
        let _ = sender.send(Event::Exited(status));
    });

    // The first piece is sent at once.
    let sent = Instant::now().checked_sub(interval).unwrap_or_else(Instant::now);
    let mut log = Log { outbox, build, step, offset: 0, sent, interval };
    let (mut open, mut exited) = (2, None);
    let mut next = Instant::now() + interval;
    loop {
        let wait = next.saturating_duration_since(Instant::now());
        let event = events.recv_timeout(wait);
        match event {
            Ok(Event::Ended) => open -= 1,
            Ok(Event::Exited(status)) => {
                exited = Some(status);
                next = Instant::now() + LAST_OUTPUT;
            }
            // The command is not late, but the consumer of its output.
            Err(RecvTimeoutError::Timeout) if exited.is_some() && shared.is_passing_on() => {
                next = Instant::now() + LAST_OUTPUT;
            }
            Ok(Event::Much) => log.send(&shared)?,
            Ok(Event::First) if log.is_due() => log.send(&shared)?,
            Ok(Event::First) => {}
            Err(RecvTimeoutError::Timeout) if exited.is_none() => {
                if log.is_due() {
                    log.send(&shared)?;
                }
                next = Instant::now() + interval;
            }
            Err(_) => break,
        }
        let is_late = Instant::now() >= next && !shared.is_passing_on();
        if exited.is_some() && (open == 0 || is_late) {
            break;
        }
    }
    // From here on, this process's terminal is its own again.
    drop(terminal);
    // Processes that the command left running may write more; it is not part of this step.
    shared.written().close(shared.millis());
    while shared.written().bytes > 0 {
        log.send(&shared)?;
    }
    let status = exited.and_then(Result::ok);
    let (code, how) = outcome(status);
    let mut end = json!({ "success": code == 0, "finished": Timestamp::now().to_rfc3339_utc() });
    if let (Some(end), Value::Object(how)) = (end.as_object_mut(), how) {
        end.extend(how);
    }
    let end = outbox::end_step(build, &log.step, &end)?;
    outbox.push(end);
    Ok(Done { code })
}

/// The exit code that a shell would return, and its form in the step.
fn outcome(status: Option<ExitStatus>) -> (u8, Value) {
    let Some(status) = status else {
        return (1, json!({ "problem": "the exit status of the command is unknown" }));
    };
    match (status.code(), status.signal()) {
        (Some(code), _) => (u8::try_from(code).unwrap_or(1), json!({ "exit_code": code })),
        (None, Some(signal)) => {
            (u8::try_from(128 + signal).unwrap_or(255), json!({ "signal": signal }))
        }
        (None, None) => (1, json!({})),
    }
}

type Pipe = Box<dyn Read + Send>;

/// Standard output and standard error of a command.
fn pipes(child: &mut Child) -> [Option<Pipe>; 2] {
    let out = child.stdout.take().map(|pipe| Box::new(pipe) as Pipe);
    [out, child.stderr.take().map(|pipe| Box::new(pipe) as Pipe)]
}

/// Starts two threads: each reads one output of the command, passes it on and keeps it. A terminal has
/// one output.
fn pass_on(
    outputs: [Option<Pipe>; 2],
    shared: &Arc<Shared>,
    sender: &mpsc::Sender<Event>,
    has_ended: &Arc<AtomicBool>,
) {
    for (which, pipe) in outputs.into_iter().enumerate() {
        let (shared, sender, has_ended) = (shared.clone(), sender.clone(), has_ended.clone());
        thread::spawn(move || {
            if let Some(mut pipe) = pipe {
                let mut buffer = vec![0; 64 << 10];
                // At the end, or after an error on the pipe, there is no more.
                while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                    let piece = buffer.get(..count).unwrap_or_default();
                    if has_ended.load(Ordering::SeqCst) {
                        shared.since_end.fetch_add(count, Ordering::SeqCst);
                    }
                    let mut written = shared.written();
                    let before = written.bytes;
                    if !written.is_closed {
                        written.add(shared.millis(), which, piece);
                    }
                    if written.bytes >= PIECE_BYTES {
                        let _ = sender.send(Event::Much);
                    } else if before == 0 {
                        let _ = sender.send(Event::First);
                    }
                    let is_full =
                        |written: &mut Written| !written.is_closed && written.bytes >= MOST_WRITTEN;
                    drop(shared.room.wait_while(written, is_full));
                    // The consumer may have closed it; the build continues.
                    shared.passing.fetch_add(1, Ordering::SeqCst);
                    let _ = match which {
                        0 => io::stdout().write_all(piece).and_then(|()| io::stdout().flush()),
                        _ => io::stderr().write_all(piece),
                    };
                    shared.passing.fetch_sub(1, Ordering::SeqCst);
                }
            }
            let _ = sender.send(Event::Ended);
        });
    }
}

/// A command without the client's secrets in its environment.
pub(crate) fn direct(program: &OsStr, arguments: &[OsString]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    devmason_client::without_secrets(&mut command);
    command
}

/// Whether a program is a script without an interpreter line, which a shell would run itself.
pub(crate) fn is_script(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error())
}

/// The same, run by a shell.
pub(crate) fn script(program: &OsStr, arguments: &[OsString]) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg(program).args(arguments);
    devmason_client::without_secrets(&mut command);
    command
}

/// The signals to forward. Ignored ones, as under `nohup`, are left out, so that the command
/// ignores them, too.
fn not_ignored() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let all = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH];
    all.into_iter().filter(|signal| mask & (1 << (signal - 1)) == 0).collect()
}

/// Forwards signals sent to this process. Signals from the terminal reach the command by
/// themselves.
fn forward(
    mut signals: SignalsInfo<WithOrigin>,
    child: u32,
    has_ended: Arc<AtomicBool>,
    terminal: Option<&Terminal>,
) {
    let pty = terminal.map(Terminal::handle);
    thread::spawn(move || {
        for origin in signals.forever() {
            if origin.signal == SIGWINCH {
                pty.iter().for_each(|pty| terminal::resize(pty));
                continue;
            }
            if has_ended.load(Ordering::SeqCst) {
                // Only the report is still pending. It is queued, so the process may be ended.
                let _ = signal_hook::low_level::emulate_default_handler(origin.signal);
                continue;
            }
            let pid = i32::try_from(child).ok().and_then(rustix::process::Pid::from_raw);
            let signal = rustix::process::Signal::from_named_raw(origin.signal);
            if let (Some(pid), Some(signal), Some(_)) = (pid, signal, origin.process) {
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_its_step() {
        let name = |words: &[&str], is_whole| {
            name_of(&words.iter().map(OsString::from).collect::<Vec<_>>(), is_whole)
        };
        assert_eq!(name(&["make", "test\nall"], true), "make test all");
        assert_eq!(name(&["/usr/bin/curl", "-u", "ann:secret"], false), "curl");
        assert_eq!(name(&[&"ü".repeat(100), &"ü".repeat(100)], true).len(), 200);
        assert_eq!(name(&[""], false), "command");
    }
}
