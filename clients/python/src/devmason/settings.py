"""All settings and their sources.

The command line takes precedence over the environment, and that over a project's defaults, such
as Django's settings or pytest's configuration.
"""

from __future__ import annotations

import math
import os
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional
from urllib.parse import unquote, urlsplit, urlunsplit

from .transport import is_torn

#: The maximum total time for reporting in seconds, unless ``DEVMASON_TIMEOUT`` is set.
TIMEOUT = 10.0

#: The names of each setting by precedence. ``PB_`` is the prefix of older runners.
NAMES = {
    "url": ("DEVMASON_SERVER_URL", "PB_SERVER"),
    "username": ("DEVMASON_USER", "PB_USER"),
    "password": ("DEVMASON_PASSWORD", "PB_PASS"),
    "project": ("DEVMASON_PROJECT", "PB_PROJECT"),
    "tags": ("DEVMASON_TAGS",),
    "timeout": ("DEVMASON_TIMEOUT",),
    "spool": ("DEVMASON_SPOOL",),
    "live": ("DEVMASON_LIVE",),
}

#: The texts of a setting that is on or off.
_FLAGS = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)


@dataclass(frozen=True)
class Settings:
    """Where to report to, as which user, and what to do if that fails."""

    url: Optional[str] = None
    project: Optional[str] = None
    username: Optional[str] = field(default=None, repr=False)
    password: Optional[str] = field(default=None, repr=False)
    tags: tuple[str, ...] = ()
    timeout: float = TIMEOUT
    #: The spool directory; None if there is no place for one.
    spool: Optional[Path] = None
    #: Whether people can watch the run: a thread reports it while it goes on.
    live: bool = False
    #: Problems with settings that were ignored, one line each.
    problems: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Separate a URL's credentials from it: it is shown, and stored with reports."""
        if "@" not in (self.url or ""):
            return
        found = {"url": self.url or ""}
        problems: list[str] = []
        _split_url(found, problems)
        for name in ("url", "username", "password"):
            value = found.get(name) if name == "url" else getattr(self, name) or found.get(name)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "problems", (*self.problems, *problems))

    @property
    def missing(self) -> Optional[str]:
        """The first setting that is required for reporting but missing."""
        for name in ("url", "project"):
            if not getattr(self, name):
                return NAMES[name][0]
        return None


def load(
    environ: Optional[Mapping[str, str]] = None,
    *,
    defaults: Optional[Mapping[str, str]] = None,
    project: Optional[str] = None,
    tags: Iterable[str] = (),
    live: bool = False,
) -> Settings:
    """Load the settings. ``project``, ``tags`` and ``live`` come from a command line."""
    environ = os.environ if environ is None else environ
    sources = (environ, defaults or {})
    found: dict[str, str] = {}
    for setting, names in NAMES.items():
        values = (source.get(name) for source in sources for name in names)
        value = next((value for value in values if value), None)
        if value is not None:
            found[setting] = value
    problems: list[str] = []
    # A URL is shown in messages, so its credentials are stored separately.
    if "@" in found.get("url", ""):
        _split_url(found, problems)
    all_tags = [*found.get("tags", "").split(","), *tags]
    return Settings(
        url=found.get("url"),
        project=project or found.get("project"),
        username=found.get("username"),
        password=found.get("password"),
        tags=_tags(all_tags, problems),
        timeout=_timeout(found.get("timeout"), problems),
        spool=_spool(found.get("spool"), environ),
        live=live or _flag("DEVMASON_LIVE", found.get("live"), problems),
        problems=tuple(problems),
    )


def _split_url(found: dict[str, str], problems: list[str]) -> None:
    try:
        parts = urlsplit(found.pop("url"))
        if is_torn(parts):
            raise ValueError
    except ValueError:
        problems.append("the server URL is ignored: percent-encode special characters in its password (%XX)")
        return
    credentials, _, host = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    found["url"] = urlunsplit(parts._replace(netloc=host))
    found.setdefault("username", unquote(username))
    found.setdefault("password", unquote(password))


def _tags(tags: Iterable[str], problems: list[str]) -> tuple[str, ...]:
    """Return the tags that the server accepts: one invalid tag must not prevent the report."""
    kept: dict[str, None] = {}
    for tag in (tag.strip() for tag in tags):
        if not tag or tag in kept:
            continue
        bad = tag == "latest" or len(tag) > 100
        if bad or any(c in ",;" or unicodedata.category(c) in ("Cc", "Cs") for c in tag):
            problems.append(f"tag {tag[:100]!r} ignored: invalid")
        elif len(kept) == 100:
            problems.append(f"tag {tag!r} ignored: a build may have at most 100 tags")
        else:
            kept[tag] = None
    return tuple(kept)


def _timeout(text: Optional[str], problems: list[str]) -> float:
    if text is None:
        return TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if math.isfinite(seconds) and seconds > 0:
        return seconds
    problems.append(f"DEVMASON_TIMEOUT is not a number of seconds: {text!r}; using {TIMEOUT:g}")
    return TIMEOUT


def _flag(name: str, text: Optional[str], problems: list[str]) -> bool:
    meaning = (text or "0").lower()
    if meaning not in _FLAGS:
        problems.append(f"{name} is neither 1 nor 0: {text!r}; using 0")
    return _FLAGS.get(meaning, False)


def _spool(text: Optional[str], environ: Mapping[str, str]) -> Optional[Path]:
    if text is not None:
        return Path(text)
    state = environ.get("XDG_STATE_HOME", "")
    # The specification says that relative paths are ignored.
    if state and Path(state).is_absolute():
        return Path(state) / "devmason-python"
    try:
        return Path.home() / ".local" / "state" / "devmason-python"
    except RuntimeError:
        return None
