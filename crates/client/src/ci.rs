//! Where a build runs: CI system, commit and machine.

mod systems;

use std::process::Command;

use serde_json::{Map, Value};

use systems::SYSTEMS;

/// Where a build runs, as far as the environment shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The CI system, if any.
    pub ci: Option<&'static str>,
    /// The commit.
    pub commit: Option<String>,
    /// The branch or tag in version control.
    pub branch: Option<String>,
    /// The branch that the change is to be merged into.
    pub target_branch: Option<String>,
    /// The commit that the change starts from.
    pub base_commit: Option<String>,
    /// The job, by the name that it has in every run.
    pub job: Option<String>,
    /// The URL of the job.
    pub job_url: Option<String>,
    /// The build's number on the CI system.
    pub build_number: Option<String>,
}

impl Place {
    /// Detects it from this process's environment and the git checkout in the working directory.
    pub fn detect() -> Self {
        let env = |name: &str| std::env::var(name).ok();
        let mut place = Self::from_env(&env);
        if let Some(request) = pull_request(&env) {
            place.commit = request.head.or(place.commit);
            place.base_commit = request.base.or(place.base_commit);
        }
        let git = |arguments: &[&str]| git(arguments).ok()?.into_iter().next();
        place.commit = place.commit.or_else(|| git(&["rev-parse", "HEAD"]));
        place.branch = place.branch.or_else(|| git(&["symbolic-ref", "--short", "-q", "HEAD"]));
        place
    }

    /// Detects it from an environment.
    pub fn from_env(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| env(name).filter(|value| !value.is_empty());
        let first = |names: &[&str]| names.iter().find_map(|name| get(name));
        let is_there = |sign| get(sign).is_some_and(|value| !value.eq_ignore_ascii_case("false"));
        let Some(system) = SYSTEMS.iter().find(|system| is_there(system.sign)) else {
            return Self::default();
        };
        let joined = |parts: &[&str]| {
            // Upper-case parts are variable names, others literals.
            let is_name = |part: &str| part.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            parts
                .iter()
                .map(|part| if is_name(part) { get(part) } else { Some((*part).to_owned()) })
                .collect::<Option<String>>()
        };
        let job_url = match system.name {
            "github" => joined(&[
                "GITHUB_SERVER_URL",
                "/",
                "GITHUB_REPOSITORY",
                "/actions/runs/",
                "GITHUB_RUN_ID",
            ]),
            "azure" => joined(&[
                "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI",
                "SYSTEM_TEAMPROJECT",
                "/_build/results?buildId=",
                "BUILD_BUILDID",
            ]),
            "bitbucket" => joined(&[
                "BITBUCKET_GIT_HTTP_ORIGIN",
                "/pipelines/results/",
                "BITBUCKET_BUILD_NUMBER",
            ]),
            _ => first(system.job_url),
        };
        let build_number = match system.name {
            // A rerun keeps its id.
            "github" => joined(&["GITHUB_RUN_ID", "-", "GITHUB_RUN_ATTEMPT"]),
            _ => None,
        };
        let plain = |branch: String| branch.trim_start_matches("refs/heads/").to_owned();
        let branch = first(system.branch).map(plain).map(|branch| match system.name {
            // Outside of multibranch projects, the Git plugin names the remote, too.
            "jenkins" => branch.strip_prefix("origin/").unwrap_or(&branch).to_owned(),
            _ => branch,
        });
        let target_branch = match system.name {
            // On a pull request, this is what it is to be merged into.
            "travis" => get("TRAVIS_PULL_REQUEST_BRANCH").and_then(|_| get("TRAVIS_BRANCH")),
            _ => first(system.target_branch).map(plain),
        };
        let job = first(system.job).map(|job| match (system.name, get("BRANCH_NAME")) {
            // A multibranch project appends the branch, and a job must have one name on all of them.
            ("jenkins", Some(_)) => {
                job.rsplit_once('/').map_or(job.as_str(), |(job, _)| job).to_owned()
            }
            _ => job,
        });
        Self {
            ci: Some(system.name),
            commit: first(system.commit),
            // Some systems name the target of a push, too: its own branch.
            target_branch: target_branch.filter(|target| Some(target) != branch.as_ref()),
            branch,
            base_commit: first(system.base_commit),
            job,
            job_url: job_url.and_then(|url| public(&url)),
            build_number: build_number.or_else(|| first(system.build_number)),
        }
    }

    /// The client record of a build that runs here: this data, the host, its architecture and system.
    pub fn record(&self) -> Map<String, Value> {
        let text = |value: &str| Value::String(value.to_owned());
        let mut record = Map::new();
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        record.insert("host".to_owned(), text(&host));
        let arch = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
        record.insert("arch".to_owned(), text(&arch));
        for (name, value) in [
            ("ci", self.ci.map(str::to_owned)),
            ("commit", self.commit.clone()),
            ("branch", self.branch.clone()),
            ("target_branch", self.target_branch.clone()),
            ("base_commit", self.base_commit.clone()),
            ("job", self.job.clone()),
            ("job_url", self.job_url.clone()),
            ("build_number", self.build_number.clone()),
        ] {
            record.extend(value.map(|value| (name.to_owned(), Value::String(value))));
        }
        record
    }

    /// Fills in `{commit}`, `{branch}`, `{ci}`, `{build_number}`, `{os}` and `{arch}`; `None` if a
    /// value is unknown.
    pub fn fill(&self, text: &str) -> Option<String> {
        let mut filled = text.to_owned();
        for (name, value) in [
            ("{commit}", self.commit.as_deref()),
            ("{branch}", self.branch.as_deref()),
            ("{ci}", self.ci),
            ("{build_number}", self.build_number.as_deref()),
            ("{os}", Some(std::env::consts::OS)),
            ("{arch}", Some(std::env::consts::ARCH)),
        ] {
            if filled.contains(name) {
                filled = filled.replace(name, value?);
            }
        }
        Some(filled)
    }
}

/// The head and the base of a pull request.
#[derive(Debug, Default, PartialEq, Eq)]
struct PullRequest {
    head: Option<String>,
    base: Option<String>,
}

/// The pull request that a GitHub workflow runs for: `GITHUB_SHA` is a commit that merges it, which
/// nobody wrote and no other build has.
fn pull_request(env: &dyn Fn(&str) -> Option<String>) -> Option<PullRequest> {
    env("GITHUB_ACTIONS")?;
    let event = std::fs::read(env("GITHUB_EVENT_PATH")?).ok()?;
    let event: Value = serde_json::from_slice(&event).ok()?;
    let sha = |side: &str| {
        let sha = event.get("pull_request")?.get(side)?.get("sha")?.as_str()?;
        Some(sha.to_owned())
    };
    event.get("pull_request")?;
    Some(PullRequest { head: sha("head"), base: sha("base") })
}

/// Removes the credentials that some installations put into a URL; `None` if they may extend into
/// its path.
fn public(url: &str) -> Option<String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return (!url.contains('@')).then(|| url.to_owned());
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    (!behind.contains('@')).then(|| format!("{scheme}://{host}{behind}"))
}

/// Removes the secrets in this process's environment from a program to be started.
pub fn without_secrets(command: &mut Command) {
    for name in ["DEVMASON_PASSWORD", "PB_PASS"] {
        command.env_remove(name);
    }
    // The Python package accepts credentials in these, too.
    for name in ["DEVMASON_SERVER_URL", "PB_SERVER"] {
        match std::env::var(name) {
            Ok(url) if url.contains('@') => match public(&url) {
                Some(url) => command.env(name, url),
                None => command.env_remove(name),
            },
            _ => command,
        };
    }
}

/// Runs git in the working directory and returns the lines of its output.
///
/// # Errors
/// git cannot be run, or it failed: its message.
pub fn git(arguments: &[&str]) -> Result<Vec<String>, String> {
    let mut git = Command::new("git");
    without_secrets(&mut git);
    let output = git.args(arguments).output().map_err(|error| format!("git: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or("failed").to_owned();
        return Err(format!("git {}: {said}", arguments.first().unwrap_or(&"")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect())
}

#[cfg(test)]
mod behaviour;
