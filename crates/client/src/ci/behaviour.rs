//! What is known of a build from what CI systems set.
#![expect(clippy::unwrap_used, reason = "tests")]

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
        ..Place::default()
    }
}

#[test]
fn a_change_is_known_by_its_own_commit_and_by_where_it_goes() {
    let of = |variables: &[(&str, &str)]| {
        let place = place(variables);
        let text = |text: Option<String>| text.unwrap_or_default();
        [place.commit, place.branch, place.target_branch, place.base_commit, place.job].map(text)
    };
    let gitlab = [
        ("GITLAB_CI", "true"),
        ("CI_COMMIT_SHA", "merged"),
        ("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "head"),
        ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "f"),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
        ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "base"),
        ("CI_JOB_NAME", "test: [3.12]"),
    ];
    assert_eq!(of(&gitlab), ["head", "f", "main", "base", "test: [3.12]"]);
    let jenkins = [
        ("JENKINS_URL", "x"),
        ("GIT_COMMIT", "c"),
        ("CHANGE_BRANCH", "f"),
        ("BRANCH_NAME", "PR-7"),
        ("CHANGE_TARGET", "main"),
        ("JOB_NAME", "folder/it/PR-7"),
    ];
    assert_eq!(of(&jenkins), ["c", "f", "main", "", "folder/it"]);
    assert_eq!(of(&[("JENKINS_URL", "x"), ("JOB_NAME", "folder/it")])[4], "folder/it");
    let azure = [
        ("TF_BUILD", "True"),
        ("SYSTEM_PULLREQUEST_SOURCECOMMITID", "c"),
        ("BUILD_SOURCEVERSION", "merged"),
        ("SYSTEM_PULLREQUEST_SOURCEBRANCH", "refs/heads/f"),
        ("SYSTEM_PULLREQUEST_TARGETBRANCH", "refs/heads/main"),
        ("SYSTEM_JOBDISPLAYNAME", "unit linux"),
    ];
    assert_eq!(of(&azure), ["c", "f", "main", "", "unit linux"]);
    let travis = [
        ("TRAVIS", "true"),
        ("TRAVIS_BRANCH", "main"),
        ("TRAVIS_PULL_REQUEST_BRANCH", "f"),
        ("TRAVIS_PULL_REQUEST_SHA", "c"),
    ];
    assert_eq!(of(&travis), ["c", "f", "main", "", ""]);
    assert_eq!(of(&[("TRAVIS", "true"), ("TRAVIS_BRANCH", "main")])[2], "");
    let drone = [("DRONE", "1"), ("DRONE_BRANCH", "main"), ("DRONE_TARGET_BRANCH", "main")];
    assert_eq!(of(&drone)[2], "");
}

#[test]
fn a_pull_request_on_github_is_read_from_its_event() {
    let event = std::env::temp_dir().join(format!("devmason-event-{}.json", std::process::id()));
    let env = |name: &str| match name {
        "GITHUB_ACTIONS" => Some("true".to_owned()),
        "GITHUB_EVENT_PATH" => event.to_str().map(str::to_owned),
        _ => None,
    };
    assert_eq!(pull_request(&env), None);
    for (text, head, base) in [
        (r#"{"pull_request":{"head":{"sha":"h"},"base":{"sha":"b"}}}"#, Some("h"), Some("b")),
        (r#"{"pull_request":{"head":{}}}"#, None, None),
    ] {
        std::fs::write(&event, text).unwrap();
        let found = pull_request(&env).unwrap();
        assert_eq!((found.head.as_deref(), found.base.as_deref()), (head, base));
    }
    std::fs::write(&event, r#"{"ref":"refs/heads/main"}"#).unwrap();
    assert_eq!(pull_request(&env), None);
    std::fs::remove_file(&event).unwrap();
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
            ("GIT_BRANCH", "origin/main"),
            ("BUILD_URL", "https://j/1"),
            ("BUILD_NUMBER", "1"),
        ]),
        known("jenkins", "abc", "main", "https://j/1", "1")
    );
    assert_eq!(
        place(&[
            ("TF_BUILD", "True"),
            ("BUILD_SOURCEVERSION", "abc"),
            ("BUILD_SOURCEBRANCH", "refs/heads/main"),
            ("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI", "https://dev.azure.com/o/"),
            ("SYSTEM_TEAMPROJECT", "p"),
            ("BUILD_BUILDID", "9"),
        ]),
        known("azure", "abc", "main", "https://dev.azure.com/o/p/_build/results?buildId=9", "9")
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
