//! Where a build runs: CI system, commit and machine.

use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value};

/// Where a build runs, as far as the environment shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The CI system, if any.
    pub ci: Option<&'static str>,
    /// The commit.
    pub commit: Option<String>,
    /// The branch or tag in version control.
    pub branch: Option<String>,
    /// The URL of the job.
    pub job_url: Option<String>,
    /// The build's number on the CI system.
    pub build_number: Option<String>,
}

/// A CI system: the variable that identifies it, and those with details.
struct System {
    name: &'static str,
    /// This variable must be set, and be neither empty nor `false`.
    sign: &'static str,
    commit: &'static [&'static str],
    branch: &'static [&'static str],
    job_url: &'static [&'static str],
    build_number: &'static [&'static str],
}

/// The known systems. Drone comes first, because Woodpecker's variables include Drone's.
const SYSTEMS: &[System] = &[
    System {
        name: "github",
        sign: "GITHUB_ACTIONS",
        commit: &["GITHUB_SHA"],
        branch: &["GITHUB_HEAD_REF", "GITHUB_REF_NAME"],
        job_url: &[],
        build_number: &["GITHUB_RUN_ID"],
    },
    System {
        name: "gitlab",
        sign: "GITLAB_CI",
        commit: &["CI_COMMIT_SHA"],
        branch: &["CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_REF_NAME"],
        job_url: &["CI_JOB_URL"],
        build_number: &["CI_JOB_ID"],
    },
    System {
        name: "jenkins",
        sign: "JENKINS_URL",
        commit: &["GIT_COMMIT"],
        branch: &["CHANGE_BRANCH", "BRANCH_NAME", "GIT_BRANCH"],
        job_url: &["BUILD_URL"],
        build_number: &["BUILD_NUMBER"],
    },
    System {
        name: "buildkite",
        sign: "BUILDKITE",
        commit: &["BUILDKITE_COMMIT"],
        branch: &["BUILDKITE_BRANCH"],
        job_url: &["BUILDKITE_BUILD_URL"],
        build_number: &["BUILDKITE_BUILD_NUMBER"],
    },
    System {
        name: "circleci",
        sign: "CIRCLECI",
        commit: &["CIRCLE_SHA1"],
        branch: &["CIRCLE_BRANCH", "CIRCLE_TAG"],
        job_url: &["CIRCLE_BUILD_URL"],
        build_number: &["CIRCLE_BUILD_NUM"],
    },
    System {
        name: "azure",
        sign: "TF_BUILD",
        commit: &["BUILD_SOURCEVERSION"],
        branch: &["SYSTEM_PULLREQUEST_SOURCEBRANCH", "BUILD_SOURCEBRANCHNAME"],
        job_url: &[],
        build_number: &["BUILD_BUILDID"],
    },
    System {
        name: "travis",
        sign: "TRAVIS",
        commit: &["TRAVIS_COMMIT"],
        branch: &["TRAVIS_PULL_REQUEST_BRANCH", "TRAVIS_BRANCH"],
        job_url: &["TRAVIS_JOB_WEB_URL"],
        build_number: &["TRAVIS_JOB_NUMBER"],
    },
    System {
        name: "woodpecker",
        sign: "CI_PIPELINE_NUMBER",
        commit: &["CI_COMMIT_SHA"],
        branch: &["CI_COMMIT_SOURCE_BRANCH", "CI_COMMIT_BRANCH"],
        job_url: &["CI_STEP_URL", "CI_PIPELINE_URL"],
        build_number: &["CI_PIPELINE_NUMBER"],
    },
    System {
        name: "drone",
        sign: "DRONE",
        commit: &["DRONE_COMMIT_SHA"],
        branch: &["DRONE_SOURCE_BRANCH", "DRONE_BRANCH"],
        job_url: &["DRONE_BUILD_LINK"],
        build_number: &["DRONE_BUILD_NUMBER"],
    },
    System {
        name: "teamcity",
        sign: "TEAMCITY_VERSION",
        commit: &["BUILD_VCS_NUMBER"],
        branch: &["TEAMCITY_BUILD_BRANCH"],
        job_url: &["BUILD_URL"],
        build_number: &["BUILD_NUMBER"],
    },
    System {
        name: "bitbucket",
        sign: "BITBUCKET_BUILD_NUMBER",
        commit: &["BITBUCKET_COMMIT"],
        branch: &["BITBUCKET_BRANCH", "BITBUCKET_TAG"],
        job_url: &[],
        build_number: &["BITBUCKET_BUILD_NUMBER"],
    },
];

impl Place {
    /// Detects it from this process's environment and the git checkout in the working directory.
    pub fn detect() -> Self {
        let env = |name: &str| std::env::var(name).ok();
        let mut place = Self::from_env(&env);
        let git = |arguments: &[&str]| git(Path::new("."), arguments);
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
        Self {
            ci: Some(system.name),
            commit: first(system.commit),
            branch: first(system.branch)
                .map(|branch| branch.trim_start_matches("refs/heads/").to_owned()),
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

fn git(dir: &Path, arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    without_secrets(&mut git);
    let output = git.arg("-C").arg(dir).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(variables: &[(&str, &str)]) -> Place {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        Place::from_env(&|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    fn known(ci: &'static str, commit: &str, branch: &str, job_url: &str, number: &str) -> Place {
        let text = |text: &str| Some(text.to_owned());
        Place {
            ci: Some(ci),
            commit: text(commit),
            branch: text(branch),
            job_url: text(job_url),
            build_number: text(number),
        }
    }

    #[test]
    fn ci_systems_are_known_by_what_they_set() {
        assert_eq!(
            place(&[
                ("CI", "true"),
                ("GITHUB_ACTIONS", "true"),
                ("GITHUB_SHA", "abc"),
                ("GITHUB_HEAD_REF", ""),
                ("GITHUB_REF_NAME", "main"),
                ("GITHUB_SERVER_URL", "https://github.com"),
                ("GITHUB_REPOSITORY", "me/it"),
                ("GITHUB_RUN_ID", "17"),
                ("GITHUB_RUN_ATTEMPT", "2"),
            ]),
            known("github", "abc", "main", "https://github.com/me/it/actions/runs/17", "17-2")
        );
        assert_eq!(
            place(&[
                ("GITLAB_CI", "true"),
                ("CI_COMMIT_SHA", "abc"),
                ("CI_COMMIT_REF_NAME", "main"),
                ("CI_JOB_URL", "https://x/1"),
                ("CI_JOB_ID", "1"),
            ]),
            known("gitlab", "abc", "main", "https://x/1", "1")
        );
        assert_eq!(
            place(&[
                ("JENKINS_URL", "https://j"),
                ("GIT_COMMIT", "abc"),
                ("GIT_BRANCH", "refs/heads/main"),
                ("BUILD_URL", "https://j/1"),
                ("BUILD_NUMBER", "1"),
            ]),
            known("jenkins", "abc", "main", "https://j/1", "1")
        );
        assert_eq!(
            place(&[
                ("TF_BUILD", "True"),
                ("BUILD_SOURCEVERSION", "abc"),
                ("BUILD_SOURCEBRANCHNAME", "main"),
                ("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI", "https://dev.azure.com/o/"),
                ("SYSTEM_TEAMPROJECT", "p"),
                ("BUILD_BUILDID", "9"),
            ]),
            known(
                "azure",
                "abc",
                "main",
                "https://dev.azure.com/o/p/_build/results?buildId=9",
                "9"
            )
        );
        for (sign, ci) in [
            ("BUILDKITE", "buildkite"),
            ("CIRCLECI", "circleci"),
            ("TRAVIS", "travis"),
            ("CI_PIPELINE_NUMBER", "woodpecker"),
            ("DRONE", "drone"),
            ("TEAMCITY_VERSION", "teamcity"),
            ("BITBUCKET_BUILD_NUMBER", "bitbucket"),
        ] {
            assert_eq!(place(&[(sign, "1")]).ci, Some(ci));
        }
        assert_eq!(place(&[("CI", "true"), ("TRAVIS", "false")]), Place::default());
    }

    #[test]
    fn a_jobs_url_is_sent_without_credentials() {
        let sent = |url: &str| place(&[("GITLAB_CI", "true"), ("CI_JOB_URL", url)]).job_url;
        assert_eq!(sent("https://u:p@h:1/x?y=1").as_deref(), Some("https://h:1/x?y=1"));
        assert_eq!(sent("https://u:p/w@h/x"), None);
        let bitbucket = place(&[
            ("BITBUCKET_BUILD_NUMBER", "7"),
            ("BITBUCKET_GIT_HTTP_ORIGIN", "https://x-token-auth:t@bitbucket.org/w/r"),
        ]);
        let url = "https://bitbucket.org/w/r/pipelines/results/7";
        assert_eq!(bitbucket.job_url.as_deref(), Some(url));
    }

    #[test]
    fn texts_are_filled_in_or_left_out() {
        let place = Place { branch: Some("main".to_owned()), ..Place::default() };
        assert_eq!(place.fill("on-{branch}").as_deref(), Some("on-main"));
        assert_eq!(place.fill("plain").as_deref(), Some("plain"));
        assert_eq!(place.fill("{commit}"), None);
    }
}
