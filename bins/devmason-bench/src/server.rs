//! The server under test: the real program, built as users build it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::Result;

/// A running server. Killed when dropped.
pub(crate) struct Server {
    pub(crate) address: String,
    child: Child,
}

/// Builds the server's program where this one was started by cargo, and gives its path.
pub(crate) fn program(given: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path);
    }
    if let Some(cargo) = std::env::var_os("CARGO") {
        let args = ["build", "--release", "--locked", "--quiet", "--bin", "devmason-server"];
        if !Command::new(cargo).args(args).status()?.success() {
            return Err("the server was not built".into());
        }
    }
    let path = std::env::current_exe()?.with_file_name("devmason-server");
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("{} is not there; --server names it", path.display()).into())
    }
}

impl Server {
    /// Starts a server on a database, with its default settings but the port, and waits until it is
    /// ready.
    pub(crate) fn start(program: &PathBuf, database_url: &str) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["--listen", "127.0.0.1:0", "--database-url", database_url]);
        Self::spawn(&mut command)
    }

    /// Starts any program that says where it is ready.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create("/dev/null")?)
            .spawn()?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().rsplit_once("://").ok_or("the server did not start")?.1;
        Ok(Self { address: address.to_owned(), child })
    }

    /// The memory that is the process's own, shared pages in part (PSS), in MiB.
    pub(crate) fn memory(&self) -> Result<f64> {
        let path = format!("/proc/{}/smaps_rollup", self.child.id());
        let text = std::fs::read_to_string(path)?;
        let line = text.lines().find(|line| line.starts_with("Pss:")).ok_or("no PSS")?;
        let kib: f64 = line.split_whitespace().nth(1).ok_or("no PSS")?.parse()?;
        Ok(kib / 1024.0)
    }

    /// The memory that the process holds (RSS), in MiB.
    pub(crate) fn resident(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no RSS")?;
        let kib: f64 = line.split_whitespace().nth(1).ok_or("no RSS")?.parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
