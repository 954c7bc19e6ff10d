//! The server under test: the real program, built as users build it.

use anyhow::{Context, Result, anyhow};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A running server. Killed when dropped.
pub(crate) struct Server {
    pub(crate) address: String,
    child: Child,
}

/// Builds the server if this program was started by cargo; returns its path.
pub(crate) fn program(given: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path);
    }
    if let Some(cargo) = std::env::var_os("CARGO") {
        let args = ["build", "--release", "--locked", "--quiet", "--bin", "devmason-server"];
        if !Command::new(cargo).args(args).status()?.success() {
            return Err(anyhow!("the server was not built"));
        }
    }
    let path = std::env::current_exe()?.with_file_name("devmason-server");
    if path.is_file() {
        Ok(path)
    } else {
        Err(anyhow!("{} not found; use --server", path.display()))
    }
}

impl Server {
    /// Starts a server on a database, with default settings except for the port, and waits until it is
    /// ready.
    pub(crate) fn start(program: &PathBuf, database_url: &str) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["--listen", "127.0.0.1:0", "--database-url", database_url]);
        Self::spawn(&mut command)
    }

    /// Starts a program that reports the address it is ready at.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create("/dev/null")?)
            .spawn()?;
        let stdout = child.stdout.take().context("no standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().rsplit_once("://").context("the server did not start")?.1;
        Ok(Self { address: address.to_owned(), child })
    }

    /// The process's private memory plus its share of shared pages (PSS), in MiB.
    pub(crate) fn memory(&self) -> Result<f64> {
        let path = format!("/proc/{}/smaps_rollup", self.child.id());
        let text = std::fs::read_to_string(path)?;
        let line = text.lines().find(|line| line.starts_with("Pss:")).context("no PSS")?;
        let kib: f64 = line.split_whitespace().nth(1).context("no PSS")?.parse()?;
        Ok(kib / 1024.0)
    }

    /// The process's resident memory (RSS), in MiB.
    pub(crate) fn resident(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).context("no RSS")?;
        let kib: f64 = line.split_whitespace().nth(1).context("no RSS")?.parse()?;
        Ok(kib / 1024.0)
    }

    /// The number of bytes that the process has had written to disk since it started.
    pub(crate) fn written(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/io", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
        Ok(line.context("no count of written bytes")?.parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
