//! A terminal for a command, on which it writes as it would on this process's own.

use std::io::{self, IsTerminal, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;

use pty_process::blocking::{Pty, open};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// The size where there is no terminal to take it from: rows and columns.
const SIZE: (u16, u16) = (24, 80);

fn plain(error: pty_process::Error) -> io::Error {
    match error {
        pty_process::Error::Io(error) => error,
        error => io::Error::other(error),
    }
}

/// The terminal of a command. When it is dropped, this process's own is as it was.
pub(super) struct Terminal {
    pty: Arc<Pty>,
    /// The settings of standard input before they were changed.
    before: Option<Termios>,
}

impl Terminal {
    /// Starts a command on a terminal of its own. If standard input is a terminal, too, what is typed
    /// goes to the command, every key at once.
    pub(super) fn start(command: Command) -> io::Result<(Self, Child)> {
        let (pty, side) = open().map_err(plain)?;
        let mut command = pty_process::blocking::Command::from(command);
        let is_typed = io::stdin().is_terminal();
        if !is_typed {
            command = command.stdin(Stdio::inherit());
        }
        let this = Self { pty: Arc::new(pty), before: None };
        this.resize();
        let child = command.spawn(side).map_err(plain)?;
        let mut this = this;
        if is_typed {
            this.pass_keys();
        }
        Ok((this, child))
    }

    /// Takes over the size of this process's terminal.
    pub(super) fn resize(&self) {
        resize(&self.pty);
    }

    /// Another handle, to take over sizes.
    pub(super) fn handle(&self) -> Arc<Pty> {
        self.pty.clone()
    }

    /// What the command writes.
    pub(super) fn reader(&self) -> Box<dyn Read + Send> {
        Box::new(Output(self.pty.clone()))
    }

    fn pass_keys(&mut self) {
        let Ok(before) = tcgetattr(io::stdin()) else { return };
        let mut raw = before.clone();
        // Ctrl-C and the like are for the command's terminal.
        raw.make_raw();
        if tcsetattr(io::stdin(), OptionalActions::Now, &raw).is_err() {
            return;
        }
        self.before = Some(before);
        let pty = self.pty.clone();
        thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = io::stdin().lock().read(&mut buffer) {
                let keys = buffer.get(..count).unwrap_or_default();
                if (&*pty).write_all(keys).is_err() {
                    return;
                }
            }
        });
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // There is nothing else that could be done about it.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Gives a terminal the size of this process's own.
pub(super) fn resize(pty: &Pty) {
    let own = tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
    let (rows, columns) = own.map_or(SIZE, |size| (size.ws_row, size.ws_col));
    let _ = pty.resize(pty_process::Size::new(rows, columns));
}

/// What is written on a terminal. Its end is an error of input and output, which readers take for one.
struct Output(Arc<Pty>);

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}
