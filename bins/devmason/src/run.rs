//! `devmason run`: a command as a build, or as a step of one.

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
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;

use crate::outbox::{self, Outbox};
use crate::{Problem, say};

/// From so many bytes of output on a part of it is sent at once.
const PART_BYTES: usize = 1 << 20;

/// So many bytes of each output are in a part at most: escaped as JSON, six times as many, both are below the
/// server's bound on bodies.
const MOST_OF_PART: usize = 2 << 20;

/// From so many bytes on that wait to be taken, the command waits with writing more.
const MOST_WRITTEN: usize = 8 << 20;

/// How long the output of what a command left running is waited for.
const LAST_OUTPUT: Duration = Duration::from_secs(2);

/// How much a pipe holds at most, in bytes, unless an administrator allowed more.
const PIPE: usize = 1 << 20;

/// How long a step's name is at most, in bytes.
const NAME_BYTES: usize = 200;

/// What a command came to.
pub(crate) struct Done {
    /// What to exit with: the command's own code, or what a shell would.
    pub(crate) code: u8,
}

/// What happens while a command runs.
enum Event {
    /// Much was written.
    Much,
    /// One of its outputs ended.
    Ended,
    /// It did.
    Exited(io::Result<ExitStatus>),
}

/// What was written and not yet sent: to standard output, to standard error.
#[derive(Default)]
struct Written {
    outputs: [Vec<u8>; 2],
    /// Nothing more is taken.
    is_closed: bool,
}

impl Written {
    /// Takes what is whole: half a character stays, unless it is the last.
    fn take(&mut self, is_last: bool) -> [String; 2] {
        self.outputs.each_mut().map(|bytes| {
            let first = bytes.get(..MOST_OF_PART).unwrap_or(bytes);
            let is_cut = first.len() < bytes.len();
            let end = if is_last && !is_cut { bytes.len() } else { whole_characters(first) };
            let rest = bytes.split_off(end);
            let taken = std::mem::replace(bytes, rest);
            String::from_utf8(taken)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
        })
    }

    fn longest(&self) -> usize {
        self.outputs.iter().map(Vec::len).max().unwrap_or(0)
    }
}

/// What the threads that read and the one that reports have in common.
#[derive(Default)]
struct Shared {
    written: Mutex<Written>,
    /// Something was taken.
    room: Condvar,
    /// How many of the threads that read are just passing on what they read: whoever reads that may be slow.
    passing: AtomicUsize,
    /// How many bytes were read since the command ended.
    since_end: AtomicUsize,
}

impl Shared {
    /// Whether something of the command itself may still be on its way: a pipe holds so much at most.
    fn is_passing_on(&self) -> bool {
        self.passing.load(Ordering::SeqCst) > 0 && self.since_end.load(Ordering::SeqCst) < PIPE
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Up to where bytes are whole characters: a UTF-8 character that is cut off at the end has three bytes at most.
fn whole_characters(bytes: &[u8]) -> usize {
    let start = bytes.len().saturating_sub(3);
    let tail = bytes.get(start..).unwrap_or_default();
    let lead = tail.iter().rposition(|byte| *byte >= 0xC0);
    let Some(at) = lead else { return bytes.len() };
    let length = match tail.get(at) {
        Some(0xF0..) => 4,
        Some(0xE0..) => 3,
        _ => 2,
    };
    if tail.len() - at < length { start + at } else { bytes.len() }
}

/// The name of the step that a command is: its program's, for what stands behind that may be secret; or all of it.
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

/// Runs a command; its output is passed on as it comes, and sent in parts while it runs, the last with what came of
/// it. Only that one command's outcome counts: nothing that goes wrong with reporting changes it.
pub(crate) fn run(
    outbox: &mut Outbox,
    build: &str,
    name: &str,
    command: &[OsString],
    interval: Duration,
) -> Result<Done, Problem> {
    let [program, arguments @ ..] = command else {
        return Err(Problem::usage("command: say which, behind --"));
    };
    let started = Timestamp::now();
    let step = |output: [String; 2], success, extras: Value| Step {
        success,
        started: Some(started),
        finished: Some(Timestamp::now()),
        extras: extras.as_object().cloned().unwrap_or_default(),
        output: output.first().cloned().unwrap_or_default(),
        errout: output.get(1).cloned().unwrap_or_default(),
        ..Step::default()
    };
    // Before the command: a signal that comes right then must find somebody.
    let signals = SignalsInfo::<WithOrigin>::new(not_ignored());
    let has_ended = Arc::new(AtomicBool::new(false));
    let spawn =
        |mut command: Command| command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let spawned = spawn(direct(program, arguments)).or_else(|error| {
        if is_script(&error) { spawn(script(program, arguments)) } else { Err(error) }
    });
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            let problem = format!("{}: {error}", program.display());
            say(&problem);
            // As a shell: not found, or not to be run.
            let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
            let failed = step([String::new(), problem], false, json!({ "exit_code": code }));
            outbox.push(outbox::step(build, &Step { name: name.to_owned(), ..failed })?);
            return Ok(Done { code });
        }
    };
    if let Ok(signals) = signals {
        forward(signals, child.id(), has_ended.clone());
    }
    let shared = Arc::<Shared>::default();
    let (sender, events) = mpsc::channel();
    pass_on(&mut child, &shared, &sender, &has_ended);
    thread::spawn(move || {
        let status = child.wait();
        has_ended.store(true, Ordering::SeqCst);
        let _ = sender.send(Event::Exited(status));
    });

    // A part of what was written, where that is so much.
    let take = |least: usize| {
        let mut written = shared.written();
        let taken = (written.longest() >= least).then(|| written.take(false));
        shared.room.notify_all();
        taken
    };
    let mut parts = 0u32;
    let mut push_part = |outbox: &mut Outbox, output| {
        parts += 1;
        let of_part = step(output, true, json!({ "part": parts }));
        let name = format!("{name} (part {parts})");
        outbox.push(outbox::step(build, &Step { name, ..of_part })?);
        Ok::<_, Problem>(parts)
    };
    let (mut part, mut open, mut exited) = (0, 2, None);
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
            // Not what the command wrote is late, but whoever reads it.
            Err(RecvTimeoutError::Timeout) if exited.is_some() && shared.is_passing_on() => {
                next = Instant::now() + LAST_OUTPUT;
            }
            Ok(Event::Much) => {
                if let Some(output) = take(PART_BYTES) {
                    part = push_part(outbox, output)?;
                }
            }
            Err(RecvTimeoutError::Timeout) if exited.is_none() => {
                next = Instant::now() + interval;
                if let Some(output) = take(1) {
                    part = push_part(outbox, output)?;
                }
            }
            Err(_) => break,
        }
        let is_late = Instant::now() >= next && !shared.is_passing_on();
        if exited.is_some() && (open == 0 || is_late) {
            break;
        }
    }
    // What the command left running may write on; it is no part of this.
    shared.written().is_closed = true;
    while let Some(output) = take(MOST_OF_PART + 1) {
        part = push_part(outbox, output)?;
    }
    let status = exited.and_then(Result::ok);
    let (code, how) = outcome(status);
    let mut extras = how;
    if part > 0
        && let Some(extras) = extras.as_object_mut()
    {
        extras.insert("part".to_owned(), json!(part + 1));
    }
    let last = step(shared.written().take(true), code == 0, extras);
    outbox.push(outbox::step(build, &Step { name: name.to_owned(), ..last })?);
    Ok(Done { code })
}

/// The exit code that a shell would have, and how the step says it.
fn outcome(status: Option<ExitStatus>) -> (u8, Value) {
    let Some(status) = status else {
        return (1, json!({ "problem": "nobody knows how the command ended" }));
    };
    match (status.code(), status.signal()) {
        (Some(code), _) => (u8::try_from(code).unwrap_or(1), json!({ "exit_code": code })),
        (None, Some(signal)) => {
            (u8::try_from(128 + signal).unwrap_or(255), json!({ "signal": signal }))
        }
        (None, None) => (1, json!({})),
    }
}

/// Two threads: each reads an output of the command, passes it on, and keeps it.
fn pass_on(
    child: &mut Child,
    shared: &Arc<Shared>,
    sender: &mpsc::Sender<Event>,
    has_ended: &Arc<AtomicBool>,
) {
    let out = child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
    let err = child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
    for (which, pipe) in [out, err].into_iter().enumerate() {
        let (shared, sender, has_ended) = (shared.clone(), sender.clone(), has_ended.clone());
        thread::spawn(move || {
            if let Some(mut pipe) = pipe {
                let mut buffer = vec![0; 64 << 10];
                // An end, or a broken pipe: there is no more.
                while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                    let piece = buffer.get(..count).unwrap_or_default();
                    if has_ended.load(Ordering::SeqCst) {
                        shared.since_end.fetch_add(count, Ordering::SeqCst);
                    }
                    let mut written = shared.written();
                    let is_closed = written.is_closed;
                    let bytes = written.outputs.get_mut(which).filter(|_| !is_closed);
                    let length = bytes.map_or(0, |bytes| {
                        bytes.extend_from_slice(piece);
                        bytes.len()
                    });
                    if length >= PART_BYTES {
                        let _ = sender.send(Event::Much);
                    }
                    let is_full = |written: &mut Written| {
                        !written.is_closed && written.longest() >= MOST_WRITTEN
                    };
                    drop(shared.room.wait_while(written, is_full));
                    // Whoever reads may have gone: the build goes on all the same.
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

/// A command, which does not learn who reports it.
pub(crate) fn direct(program: &OsStr, arguments: &[OsString]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    devmason_client::without_secrets(&mut command);
    command
}

/// Whether a program is a script that does not say what runs it: a shell runs it then, as a shell would.
pub(crate) fn is_script(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error())
}

/// The same by a shell.
pub(crate) fn script(program: &OsStr, arguments: &[OsString]) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg(program).args(arguments);
    devmason_client::without_secrets(&mut command);
    command
}

/// The signals that are forwarded, but for those that are ignored, as by `nohup`: so the command ignores them, too.
fn not_ignored() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let all = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2];
    all.into_iter().filter(|signal| mask & (1 << (signal - 1)) == 0).collect()
}

/// Forwards what somebody sends to this process. What the terminal sends, the command gets by itself.
fn forward(mut signals: SignalsInfo<WithOrigin>, child: u32, has_ended: Arc<AtomicBool>) {
    thread::spawn(move || {
        for origin in signals.forever() {
            if has_ended.load(Ordering::SeqCst) {
                // Only the report is still waited for: it is kept, and who wants to go may.
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
    fn parts_end_with_whole_characters() {
        for (bytes, end) in [
            (&b"abc"[..], 3),
            ("ü".as_bytes(), 2),
            (&"aü".as_bytes()[..2], 1),
            (&"a\u{1F600}".as_bytes()[..4], 1),
            ("a\u{1F600}".as_bytes(), 5),
            (&"a€".as_bytes()[..3], 1),
            // What is no character is not waited for.
            (b"a\x80\x80", 3),
            (b"", 0),
        ] {
            assert_eq!(whole_characters(bytes), end, "{bytes:?}");
        }
        let outputs = [b"a\xc3".to_vec(), b"b".to_vec()];
        let mut written = Written { outputs, is_closed: false };
        assert_eq!(written.take(false), ["a", "b"]);
        assert_eq!(written.take(true), ["\u{fffd}", ""]);
    }

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
