#![doc = include_str!("../README.md")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that has no database must fail loudly"
)]

pub mod http;
mod wait;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
pub use wait::until;

/// A database that nobody else uses.
#[derive(Debug)]
pub struct TestDatabase {
    /// Its URL.
    pub url: String,
    _directory: Option<TempDir>,
}

/// A database backend that the product supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// An SQLite file.
    Sqlite,
    /// A database in a PostgreSQL cluster.
    Postgres,
}

impl TestDatabase {
    /// Makes the database update its table statistics, which it eventually does by itself.
    pub fn analyze(&self) {
        if self.url.starts_with("postgres") {
            cluster().sql(&self.url, "vacuum analyze");
        }
    }

    /// Ends all PostgreSQL connections to this database, as a restart would.
    pub fn sever(&self) {
        let (server, name) = self.url.rsplit_once('/').unwrap_or_default();
        let statement = format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        );
        cluster().sql(&format!("{server}/postgres"), &statement);
    }
}

impl TestDatabase {
    /// Copies the whole database for [`Self::restore`]; returns the URL of the copy in PostgreSQL, its
    /// path in SQLite. This ends all connections; nobody may write meanwhile.
    pub fn copy(&self) -> String {
        if let Some(path) = self.url.strip_prefix("sqlite:") {
            let copy = format!("{path}.copy");
            std::fs::copy(path, &copy).expect("a copy of the file");
            return copy;
        }
        let copy = format!("{}_copy", self.url);
        self.replace(&copy, &self.url);
        copy
    }

    /// Replaces the database by a copy; later data is lost. This ends all connections.
    pub fn restore(&self, copy: &str) {
        let Some(path) = self.url.strip_prefix("sqlite:") else {
            return self.replace(&self.url, copy);
        };
        for beside in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{path}{beside}"));
        }
        std::fs::copy(copy, path).expect("the file from its copy");
    }

    /// Replaces one PostgreSQL database by a copy of another.
    fn replace(&self, target: &str, source: &str) {
        let (server, _) = self.url.rsplit_once('/').unwrap_or_default();
        let name =
            |url: &str| url.rsplit_once('/').map_or(String::new(), |(_, name)| name.to_owned());
        let (target, source) = (name(target), name(source));
        let run = |statement: &str| cluster().sql(&format!("{server}/postgres"), statement);
        run(&format!("drop database if exists {target} with (force)"));
        // A server whose connections end opens new ones, so forbid new connections first.
        run(&format!("alter database {source} allow_connections false"));
        run(&format!(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = '{source}'"
        ));
        run(&format!("create database {target} template {source}"));
        run(&format!("alter database {source} allow_connections true"));
        run(&format!("alter database {target} allow_connections true"));
    }
}

impl Backend {
    /// Creates an empty database.
    pub fn database(self) -> TestDatabase {
        match self {
            Self::Sqlite => sqlite(),
            Self::Postgres => postgres(),
        }
    }
}

fn sqlite() -> TestDatabase {
    let directory = TempDir::new().expect("a temporary directory");
    let url = format!("sqlite:{}", directory.path().join("test.db").display());
    TestDatabase { url, _directory: Some(directory) }
}

fn postgres() -> TestDatabase {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    TestDatabase { url: cluster().create_database(&name), _directory: None }
}

/// The cluster of this process.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| match std::env::var("DEVMASON_TEST_POSTGRES_URL") {
        Ok(url) => Cluster::at(&url),
        // Tests need no durability.
        Err(_) => Cluster::start(&["max_connections=300", "fsync=off"]),
    })
}

/// A PostgreSQL cluster: either started by this process, and ended with it, or an existing one.
pub struct Cluster {
    url: String,
    psql: PathBuf,
    /// Its data directory, if this process started it.
    data: Option<PathBuf>,
    /// A shell that waits until its standard input ends, as it does when this process ends, and then
    /// stops and removes the cluster.
    _watchdog: Option<Child>,
}

impl Cluster {
    fn at(url: &str) -> Self {
        let url = url.trim_end_matches('/').to_owned();
        Self { url, psql: "psql".into(), data: None, _watchdog: None }
    }

    /// Creates a database; returns its URL.
    pub fn create_database(&self, name: &str) -> String {
        self.sql(&format!("{}/postgres", self.url), &format!("create database {name}"));
        format!("{}/{name}", self.url)
    }

    /// Runs SQL in the database at this URL.
    pub fn sql(&self, url: &str, statements: &str) {
        run(Command::new(&self.psql)
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url])
            .args(["-c", statements]));
    }

    /// Sends a signal, such as `-STOP`, to all processes of a cluster started by this process.
    pub fn signal(&self, signal: &str) {
        let data = self.data.as_ref().expect("a cluster of this process's own");
        let pid = read(&data.join("postmaster.pid")).lines().next().unwrap_or_default().to_owned();
        let is_child = |process: &std::fs::DirEntry| {
            let stat = read(&process.path().join("stat"));
            // After the name, which ends with the last parenthesis, come the state and the parent.
            let behind = stat.rsplit_once(')').map(|(_, behind)| behind.to_owned());
            behind.is_some_and(|behind| behind.split_whitespace().nth(1) == Some(&pid))
        };
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let children = processes
            .filter(is_child)
            .filter_map(|process| process.file_name().to_str().and_then(|name| name.parse().ok()));
        let processes: Vec<u32> = children.chain(pid.parse()).collect();
        self::signal(signal, &processes);
    }

    /// The path of a PostgreSQL program installed with `psql`, such as `pgbench`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.psql.with_file_name(name)
    }

    /// Starts a cluster with these settings on a Unix socket in a temporary directory.
    pub fn start(settings: &[&str]) -> Self {
        let programs = programs();
        let directory = TempDir::with_prefix("devmason-pg").expect("a temporary directory").keep();
        let user = server_user();
        if let Some(user) = user {
            run(Command::new("chown").arg(user).arg(&directory));
        }
        let data = directory.join("data");
        let command = |program: &str| {
            let path = programs.join(program);
            let mut command = match user {
                Some(user) => {
                    let mut runuser = Command::new("runuser");
                    runuser.args(["-u", user, "--"]).arg(path);
                    runuser
                }
                None => Command::new(path),
            };
            command.current_dir(&directory);
            command
        };
        run(command("initdb").arg("-D").arg(&data).args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "-N",
        ]));
        let mut options =
            format!("-c listen_addresses='' -c unix_socket_directories='{}'", directory.display());
        for setting in settings {
            options += &format!(" -c {setting}");
        }
        run(command("pg_ctl")
            .arg("-D")
            .arg(&data)
            .arg("-l")
            .arg(directory.join("log"))
            .args(["-w", "-o", &options, "start"]));

        let stop = command("pg_ctl");
        let stop: Vec<String> = std::iter::once(stop.get_program())
            .chain(stop.get_args())
            .map(|arg| format!("'{}'", arg.display()))
            .collect();
        let script = format!(
            "read -r line; {} -D '{}' -m immediate stop; rm -rf '{}'",
            stop.join(" "),
            data.display(),
            directory.display()
        );
        let watchdog = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell to watch over the cluster");
        let host = directory.display().to_string().replace('/', "%2F");
        Self {
            url: format!("postgres://postgres@{host}"),
            psql: programs.join("psql"),
            data: Some(data),
            _watchdog: Some(watchdog),
        }
    }
}

/// PostgreSQL refuses to run as root, so root runs it as another user.
fn server_user() -> Option<&'static str> {
    let id = |args: &[&str]| {
        let output = Command::new("id").args(args).output().expect("id");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    if id(&["-u"]).1 != "0" {
        return None;
    }
    Some(if id(&["-u", "postgres"]).0 { "postgres" } else { "nobody" })
}

/// The directory with PostgreSQL's server programs; the newest if there are several.
fn programs() -> PathBuf {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&on_path);
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let mut debian: Vec<PathBuf> = debian.collect();
    debian.sort_by_key(|path| {
        let version = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.parse::<u32>().ok());
        std::cmp::Reverse(version)
    });
    on_path
        .chain(debian.iter().map(|path| path.join("bin")))
        .find(|directory| ["initdb", "pg_ctl", "psql"].iter().all(|program| directory.join(program).is_file()))
        .unwrap_or_else(|| {
            panic!(
                "no PostgreSQL to test with: install it (Debian: apt-get install postgresql), or set \
                 DEVMASON_TEST_POSTGRES_URL; `cargo test sqlite` runs what needs none"
            )
        })
}

/// Sends a signal, such as `-TERM`, to processes. It uses the shell, because the `kill` program
/// isn't installed everywhere.
pub fn signal(signal: &str, processes: &[u32]) {
    let processes = processes.iter().map(ToString::to_string);
    run(Command::new("sh").args(["-c", "kill \"$@\"", "sh", signal]).args(processes));
}

fn run(command: &mut Command) {
    // The server keeps its standard output open, so this must not be a pipe that someone reads to the
    // end.
    let log = tempfile::NamedTempFile::new().expect("a log file");
    let output = log.reopen().expect("a log file");
    let errors = output.try_clone().expect("a log file");
    let status = command.stdin(Stdio::null()).stdout(output).stderr(errors).status();
    if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
        panic!("{command:?}: {status:?}\n{}", read(log.path()));
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
