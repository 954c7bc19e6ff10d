//! Settings: from a flag, an environment variable, the project's `.devmason.toml` (only project and
//! tags), the user's `config.toml` or the default, in this order of precedence.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::FalseyValueParser;
use devmason_client::{Client, Credentials, Place, Spool, private};
use devmason_domain::{Slug, Tag};
use serde::{Deserialize, Serialize};

use crate::{Problem, say};

/// How many bytes of reports are kept on disk for later.
const SPOOL_BYTES: u64 = 256 << 20;

/// Settings that every command has.
#[derive(Args, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Layer {
    /// The server's URL [default: http://127.0.0.1:8080]
    #[arg(
        long,
        short = 's',
        env = "DEVMASON_SERVER_URL",
        value_name = "URL",
        global = true,
        hide_env_values = true
    )]
    server: Option<String>,

    /// The project
    #[arg(long, short = 'p', env = "DEVMASON_PROJECT", value_name = "PROJECT", global = true)]
    project: Option<String>,

    /// Tag of the build; repeatable; the placeholders {branch}, {commit}, {ci}, {build_number}, {os} and {arch} are expanded
    #[arg(
        long,
        short = 't',
        env = "DEVMASON_TAGS",
        value_name = "TAG",
        value_delimiter = ',',
        global = true
    )]
    tags: Vec<String>,

    /// Whether they stand on the command line.
    #[arg(skip)]
    #[serde(skip)]
    pub(crate) has_tags_flag: bool,

    /// Username; the password comes from DEVMASON_PASSWORD or from `devmason login`
    #[arg(long, short = 'u', env = "DEVMASON_USER", value_name = "USER", global = true)]
    user: Option<String>,

    /// Directory for queued reports [default: the user's state directory]
    #[arg(long, env = "DEVMASON_SPOOL", value_name = "DIR", global = true)]
    spool: Option<PathBuf>,

    /// Maximum size of the queue in bytes [default: 268435456]
    #[arg(long, env = "DEVMASON_SPOOL_BYTES", value_name = "BYTES", global = true)]
    spool_bytes: Option<u64>,

    /// Create the project if it does not exist
    #[arg(long, env = "DEVMASON_CREATE", value_parser = FalseyValueParser::new(), global = true)]
    create: bool,

    /// Name the step of `run` after the whole command line, including any secrets in it
    #[arg(long, env = "DEVMASON_WHOLE_COMMAND", value_parser = FalseyValueParser::new(), global = true)]
    whole_command: bool,

    /// Exit with 3 if a report could not be sent
    #[arg(long, env = "DEVMASON_STRICT", value_parser = FalseyValueParser::new(), global = true)]
    strict: bool,

    /// Print JSON
    #[arg(long, global = true)]
    #[serde(skip)]
    json: bool,

    /// Print only warnings and errors
    #[arg(long, short = 'q', env = "DEVMASON_QUIET", value_parser = FalseyValueParser::new(), global = true)]
    quiet: bool,
}

/// What the project's own file may say: it must not be able to send a user's password elsewhere.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct ProjectFile {
    project: Option<String>,
    tags: Vec<String>,
}

/// A user and a password for each server.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct CredentialsFile {
    servers: std::collections::BTreeMap<String, Login>,
}

impl CredentialsFile {
    /// The file, if it is its owner's alone; nothing where there is none.
    fn read(path: &Path) -> Result<Self, Problem> {
        let bad = |problem: &dyn std::fmt::Display| {
            Problem::usage(format!("{}: {problem}", path.display()))
        };
        match private::read(path) {
            // The error message would quote a part of it.
            Ok(text) => toml::from_str(&String::from_utf8_lossy(&text))
                .map_err(|_| bad(&"invalid credentials file; delete it and run 'devmason login'")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(bad(&error)),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Login {
    user: String,
    password: String,
}

/// The settings, checked.
pub(crate) struct Settings {
    pub(crate) server: String,
    pub(crate) project: Option<String>,
    pub(crate) tags: Vec<String>,
    /// Whether the command line says them: then they choose builds, too.
    pub(crate) has_tags_flag: bool,
    pub(crate) create: bool,
    pub(crate) whole_command: bool,
    pub(crate) strict: bool,
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    pub(crate) place: Place,
    user: Option<String>,
    spool: Option<PathBuf>,
    spool_bytes: u64,
}

fn in_home(variable: &str, otherwise: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = set(variable)
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(set("HOME")?).join(otherwise)))?;
    Some(base.join("devmason"))
}

fn config_dir() -> Option<PathBuf> {
    in_home("XDG_CONFIG_HOME", ".config")
}

/// A TOML file; nothing where there is none.
fn read<T: serde::de::DeserializeOwned + Default>(path: &Path) -> Result<T, Problem> {
    match fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text)
            .map_err(|error| Problem::usage(format!("{}: {}", path.display(), error.message()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(Problem::usage(format!("{}: {error}", path.display()))),
    }
}

/// The `.devmason.toml` of the working directory, or of the nearest above it.
fn project_file() -> Result<ProjectFile, Problem> {
    let Ok(here) = std::env::current_dir() else { return Ok(ProjectFile::default()) };
    let found = here.ancestors().map(|dir| dir.join(".devmason.toml")).find(|path| path.is_file());
    found.map_or_else(|| Ok(ProjectFile::default()), |path| read(&path))
}

/// Whether a build can have a tag: a branch may be called what none can be, and the build is reported all the same.
fn is_tag(tag: &str) -> bool {
    let parsed = tag.parse::<Tag>();
    if let (Err(problem), false) = (&parsed, tag.is_empty()) {
        say(&format!("tag '{tag}' ignored: {problem}"));
    }
    parsed.is_ok()
}

impl Settings {
    /// Joins the command line and the environment with the files.
    pub(crate) fn load(layer: Layer) -> Result<Self, Problem> {
        let below: Layer = match config_dir() {
            Some(dir) => read(&dir.join("config.toml"))?,
            None => Layer::default(),
        };
        let file = project_file()?;
        let first = |lists: [Vec<String>; 3]| {
            lists.into_iter().find(|list| !list.is_empty()).unwrap_or_default()
        };
        let place = Place::detect();
        let tags = first([layer.tags, file.tags, below.tags]);
        let server = layer.server.or(below.server);
        let spool = layer.spool.or(below.spool);
        Ok(Self {
            server: server
                .unwrap_or_else(|| "http://127.0.0.1:8080".to_owned())
                .trim_end_matches('/')
                .to_owned(),
            project: layer.project.or(file.project).or(below.project),
            tags: tags.iter().filter_map(|tag| place.fill(tag)).filter(|tag| is_tag(tag)).collect(),
            has_tags_flag: layer.has_tags_flag,
            user: layer.user.or(below.user),
            spool: spool.or_else(|| Some(in_home("XDG_STATE_HOME", ".local/state")?.join("spool"))),
            spool_bytes: layer.spool_bytes.or(below.spool_bytes).unwrap_or(SPOOL_BYTES),
            create: layer.create || below.create,
            whole_command: layer.whole_command || below.whole_command,
            strict: layer.strict || below.strict,
            json: layer.json,
            quiet: layer.quiet || below.quiet,
            place,
        })
    }

    /// The project, which must be said.
    pub(crate) fn project(&self) -> Result<Slug, Problem> {
        let project = self.project.as_deref().ok_or_else(|| {
            Problem::usage("no project given; use -p, DEVMASON_PROJECT or a .devmason.toml")
        })?;
        project.parse().map_err(|error| Problem::usage(format!("project: {error}")))
    }

    /// The spool, if there can be one.
    pub(crate) fn spool(&self) -> Result<Spool, String> {
        let dir =
            self.spool.as_deref().ok_or("no home directory for the queue; set DEVMASON_SPOOL")?;
        Spool::open(dir, self.spool_bytes).map_err(|error| format!("{}: {error}", dir.display()))
    }

    /// A client of the server, with the user's credentials.
    pub(crate) fn client(&self) -> Result<Client, Problem> {
        Client::new(&self.server, self.credentials()?)
            .map_err(|error| Problem::usage(error.to_string()))
    }

    fn credentials(&self) -> Result<Option<Credentials>, Problem> {
        let given = std::env::var("DEVMASON_PASSWORD").ok().filter(|given| !given.is_empty());
        if let (Some(user), Some(password)) = (self.user.clone(), given) {
            return Ok(Some(Credentials { user, password }));
        }
        let saved = match config_dir().map(|dir| dir.join("credentials.toml")) {
            Some(path) => CredentialsFile::read(&path)?.servers.remove(&self.server),
            None => None,
        };
        let is_asked = |login: &Login| self.user.as_ref().is_none_or(|user| *user == login.user);
        let found = saved.filter(is_asked);
        if let (None, Some(user)) = (&found, &self.user) {
            // A name without a password must not become an anonymous report unnoticed.
            static ONCE: std::sync::Once = std::sync::Once::new();
            ONCE.call_once(|| {
                crate::say(&format!(
                    "no password for '{user}', so requests are anonymous; set DEVMASON_PASSWORD or run 'devmason login'"
                ));
            });
        }
        Ok(found.map(|login| Credentials { user: login.user, password: login.password }))
    }

    /// Keeps a user and a password for the server.
    pub(crate) fn keep(&self, credentials: Credentials) -> Result<PathBuf, Problem> {
        let dir = config_dir().ok_or_else(|| {
            Problem::usage("cannot save the password: no home directory; set XDG_CONFIG_HOME")
        })?;
        let path = dir.join("credentials.toml");
        let mut file = CredentialsFile::read(&path)?;
        let Credentials { user, password } = credentials;
        file.servers.insert(self.server.clone(), Login { user, password });
        let text = toml::to_string(&file).map_err(|error| Problem::failed(error.to_string()))?;
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        let written =
            made.and_then(|()| private::whole(&path, |file| file.write_all(text.as_bytes())));
        written.map_err(|error| Problem::failed(format!("{}: {error}", path.display())))?;
        Ok(path)
    }
}
