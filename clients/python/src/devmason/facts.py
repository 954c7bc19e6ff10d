"""The client record: facts about the machine and the CI job of a test run."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Optional
from urllib.parse import urlsplit, urlunsplit

from .transport import is_torn

#: Variables that hold passwords, which child processes do not need.
_SECRETS = ("DEVMASON_PASSWORD", "PB_PASS")

#: The timeout of each git command, in seconds.
_GIT_TIMEOUT = 3.0


def client_record(
    environ: Optional[Mapping[str, str]] = None,
    directory: Optional[Path] = None,
    **others: Optional[str],
) -> dict[str, str]:
    """Return the client record of a run in ``directory``. ``others`` are additional members."""
    environ = os.environ if environ is None else environ
    members: dict[str, Optional[str]] = {
        "host": platform.node(),
        "arch": platform.machine(),
        "os": platform.system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **others,
        **ci(environ),
    }
    if not members.get("commit"):
        members["commit"] = _git("rev-parse", "HEAD", directory=directory)
    if not members.get("branch"):
        # Empty on a detached head.
        members["branch"] = _git("symbolic-ref", "--short", "-q", "HEAD", directory=directory)
    return {name: value for name, value in members.items() if value}


def ci(environ: Mapping[str, str]) -> dict[str, Optional[str]]:
    """Return the facts of GitHub Actions, GitLab CI or Jenkins about the job, if any."""
    get = environ.get
    if get("GITHUB_ACTIONS") == "true":
        url = "/".join((get("GITHUB_SERVER_URL", ""), get("GITHUB_REPOSITORY", ""), "actions/runs"))
        head, base = _pull_request(get("GITHUB_EVENT_PATH"))
        return {
            "ci": "github",
            # On a pull request, the variable has a commit that merges it, and the ref is unnamed.
            "commit": head or get("GITHUB_SHA"),
            "branch": get("GITHUB_HEAD_REF") or get("GITHUB_REF_NAME"),
            "target_branch": get("GITHUB_BASE_REF"),
            "base_commit": base,
            "job": get("GITHUB_JOB"),
            "job_url": _public(f"{url}/{get('GITHUB_RUN_ID', '')}"),
            "build_number": get("GITHUB_RUN_NUMBER"),
        }
    if get("GITLAB_CI"):
        return {
            "ci": "gitlab",
            "commit": get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or get("CI_COMMIT_SHA"),
            "branch": get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME") or get("CI_COMMIT_REF_NAME"),
            "target_branch": get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"),
            "base_commit": get("CI_MERGE_REQUEST_DIFF_BASE_SHA"),
            "job": get("CI_JOB_NAME"),
            "job_url": _public(get("CI_JOB_URL")),
            "build_number": get("CI_PIPELINE_IID") or get("CI_PIPELINE_ID"),
        }
    if get("JENKINS_URL"):
        job = get("JOB_NAME")
        if job and get("BRANCH_NAME"):
            # A multibranch project appends the branch; a job must have one name on all of them.
            job = job.rpartition("/")[0] or job
        return {
            "ci": "jenkins",
            "commit": get("GIT_COMMIT"),
            "branch": get("CHANGE_BRANCH") or get("BRANCH_NAME") or get("GIT_BRANCH"),
            "target_branch": get("CHANGE_TARGET"),
            "job": job,
            "job_url": _public(get("BUILD_URL")),
            "build_number": get("BUILD_NUMBER"),
        }
    return {}


def _pull_request(path: Optional[str]) -> tuple[Optional[str], Optional[str]]:
    """Return the head and the base commit of the pull request in a GitHub event."""
    try:
        event = json.loads(Path(path).read_bytes()) if path else {}
        request = event["pull_request"]
        return request["head"]["sha"], request["base"]["sha"]
    except (OSError, ValueError, LookupError, TypeError):
        return None, None


def _public(url: Optional[str]) -> Optional[str]:
    """Return the URL without the credentials that some installations put into it.

    None if they may extend into its path, or if it is invalid: the report must not fail for that.
    """
    if not url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if is_torn(parts):
        return None
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _git(*arguments: str, directory: Optional[Path]) -> Optional[str]:
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are this module's own
            ["git", *arguments],  # noqa: S607 - the git on the path is the one in use
            cwd=directory,
            env={name: value for name, value in os.environ.items() if name not in _SECRETS},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_GIT_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    text = done.stdout.decode(errors="replace").strip()
    return text if done.returncode == 0 and text else None
