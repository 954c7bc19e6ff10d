//! Projects, the queue, and signing in.

use std::io::IsTerminal;

use devmason_client::{About, Client, Credentials, Document, blocking, sieve};
use devmason_domain::Slug;
use devmason_hypermedia::Resource;

use super::{Problem, print, print_json, say, show};
use crate::cli::{Action, Queue};
use crate::settings::Settings;

pub(super) fn flush(settings: &Settings) -> Result<u8, Problem> {
    let client = blocking::Client::new(settings.client()?)?;
    let spool = settings.spool().map_err(Problem::failed)?;
    let mut flushed = devmason_client::Flushed::default();
    let result = client.wait(spool.flush(client.inner(), None, &mut flushed));
    for refused in &flushed.refused {
        say(&format!("refused: {refused}"));
    }
    if !settings.quiet {
        say(&format!("{} requests sent, {} left", flushed.sent, flushed.left));
    }
    result?;
    Ok(u8::from(!flushed.refused.is_empty()))
}

/// Sends what is queued before a question about it. If that fails, the question says so.
pub(super) fn send_queued(settings: &Settings) {
    let send = || -> Result<(), Problem> {
        let spool = settings.spool().map_err(Problem::failed)?;
        let client = blocking::Client::new(settings.client()?)?;
        let mut flushed = devmason_client::Flushed::default();
        let sent = client.wait(spool.flush(client.inner(), None, &mut flushed));
        for refused in &flushed.refused {
            say(&format!("refused: {refused}"));
        }
        Ok(sent?)
    };
    if let Err(problem) = send() {
        say(&format!("queued reports were not sent: {}", problem.text));
    }
}

pub(super) fn project(settings: &Settings, action: Action) -> Result<u8, Problem> {
    let client = blocking::Client::new(settings.client()?)?;
    let slug = |text: &str| {
        text.parse::<Slug>().map_err(|error| Problem::usage(format!("project: {error}")))
    };
    let (url, word) = match action {
        Action::Create { project, name } => {
            let slug = slug(&project)?;
            let is_new = client.create_project(&slug, name.as_deref().unwrap_or(&project))?;
            let word = if is_new { "created" } else { "already exists:" };
            (Resource::Project(slug).path(), word)
        }
        Action::Update { project, name } => {
            let slug = slug(&project)?;
            // It must exist.
            client.project(&slug)?;
            client.put_project(&slug, &name)?;
            (Resource::Project(slug).path(), "renamed")
        }
        Action::Delete { project, yes } => {
            let slug = slug(&project)?;
            // A missing project needs no confirmation.
            client.project(&slug)?;
            if !yes && !is_sure(&slug)? {
                return Err(Problem::failed("confirmation does not match; nothing was deleted"));
            }
            let path = Resource::Project(slug).path();
            let delete = devmason_client::Outgoing::new(devmason_client::Method::DELETE, &path);
            client.send(&delete)?;
            (path, "deleted")
        }
    };
    if !settings.quiet {
        say(&format!("{word} {}{url}", settings.server));
    }
    Ok(0)
}

/// Asks for confirmation before deleting a project; without a terminal, it must be given in
/// advance.
pub(super) fn is_sure(project: &Slug) -> Result<bool, Problem> {
    if !std::io::stdin().is_terminal() {
        return Err(Problem::usage(
            "cannot ask for confirmation; pass --yes to delete the project and all its builds",
        ));
    }
    say(&format!("this deletes project '{project}' and all its builds; type its name to confirm"));
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.map_err(|error| Problem::failed(error.to_string()))?;
    Ok(answer.trim() == project.as_str())
}

/// Lists or drops queued reports.
pub(super) fn queue(settings: &Settings, action: &Queue) -> Result<u8, Problem> {
    let mut sessions = settings.spool().map_err(Problem::failed)?.sessions();
    sessions.retain(|session| session.waiting() > 0);
    let (builds, all) = match action {
        Queue::List if settings.json => {
            return print_json(&Document(show::queued(&sessions))).map(|()| 0);
        }
        Queue::List => {
            sessions.iter().try_for_each(|session| print(&show::waiting(session)))?;
            return Ok(0);
        }
        Queue::Drop { builds, all } => (builds, *all),
    };
    let is_of = |id: &String, about: &About| *id == about.id() || *id == about.url();
    let is_there = |id: &&String| sessions.iter().any(|session| is_of(id, session.about()));
    if let Some(id) = builds.iter().find(|id| !is_there(id)) {
        return Err(Problem::usage(format!("builds: no queued reports for '{id}'")));
    }
    for session in sessions {
        let url = session.about().url();
        if all || builds.iter().any(|id| is_of(id, session.about())) {
            session.discard().map_err(|error| Problem::failed(format!("{url}: {error}")))?;
            if !settings.quiet {
                say(&format!("dropped the queued reports of {url}"));
            }
        }
    }
    Ok(0)
}

/// Checks a username and password with the server; succeeds if it is unreachable.
pub(super) fn verify(settings: &Settings, credentials: &Credentials) -> Result<(), Problem> {
    let client = Client::new(&settings.server, Some(credentials.clone()))
        .map_err(|error| Problem::usage(error.to_string()))?;
    let client = blocking::Client::new(client)?;
    let user =
        credentials.user.parse().map_err(|error| Problem::usage(format!("user: {error}")))?;
    match client.get(&Resource::User(user).path()) {
        Ok(_) => Ok(()),
        Err(error) if error.status() == Some(404) => {
            say(&format!(
                "user '{}' does not exist yet; the first report creates it",
                credentials.user
            ));
            Ok(())
        }
        Err(error) if error.is_temporary() => {
            say(&format!("could not verify the password: {error}"));
            Ok(())
        }
        Err(error) if error.status() == Some(401) => {
            Err(Problem::failed(format!("password not saved: {error}")))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) fn login(settings: &Settings, user: String) -> Result<u8, Problem> {
    // Checked before it is printed, and before it names queued reports.
    Client::new(&settings.server, None).map_err(|error| Problem::usage(error.to_string()))?;
    let password = if std::io::stdin().is_terminal() {
        let prompt = format!("Password for {user} at {}: ", settings.server);
        rpassword::prompt_password(sieve::line(&prompt))
    } else {
        std::io::read_to_string(std::io::stdin())
            .map(|text| text.trim_end_matches(['\n', '\r']).to_owned())
    };
    let password = password.map_err(|error| Problem::failed(format!("password: {error}")))?;
    if password.is_empty() {
        return Err(Problem::usage("password: must not be empty"));
    }
    let credentials = Credentials { user, password };
    verify(settings, &credentials)?;
    let path = settings.keep(credentials)?;
    if !settings.quiet {
        say(&format!("saved to {}", path.display()));
    }
    Ok(0)
}
