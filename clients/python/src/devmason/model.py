"""Builds, steps and test cases as they are reported, and the documents made of them."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, ClassVar, Literal, Optional, Union

#: What came of a test case. ``flaky``: failed, then passed in the same run. ``error``: it broke
#: before it could tell.
Status = Literal["passed", "flaky", "skipped", "failed", "error"]

#: JSON, as this package makes it.
Document = dict[str, Any]

#: The greatest line and number of retries that are sent.
_MAX_COUNT = 2**31 - 1


def now() -> datetime:
    """Return this moment, in UTC."""
    return datetime.now(timezone.utc)


def new_id() -> str:
    """Return a build id that nobody else has."""
    return str(uuid.uuid4())


@dataclass
class Failure:
    """Why a test failed: the exception's type, its message, and the whole text with the traceback."""

    type: str = ""
    message: str = ""
    text: str = ""

    def document(self) -> Document:
        """Return the failure as the API has it."""
        return {"type": self.type, "message": self.message, "text": self.text}


@dataclass
class Test:
    """A test case of a step. ``suite::name`` is what the project knows it by."""

    #: pytest must not take this class for a test of its own where somebody imports it.
    __test__: ClassVar[bool] = False

    name: str
    status: Status
    suite: str = ""
    duration: Optional[float] = None
    failure: Optional[Failure] = None
    stdout: str = ""
    stderr: str = ""
    properties: list[tuple[str, str]] = field(default_factory=list)
    retries: int = 0
    file: Optional[str] = None
    line: Optional[int] = None

    def document(self) -> Document:
        """Return the case as the API has it, without the members that say nothing."""
        document: Document = {"suite": self.suite, "name": self.name, "status": self.status}
        # A clock that was set back makes a negative duration, which the server refuses.
        if self.duration is not None and math.isfinite(self.duration):
            document["duration"] = round(max(self.duration, 0.0), 6)
        if self.failure is not None:
            document["failure"] = self.failure.document()
        for member in ("stdout", "stderr", "file"):
            if getattr(self, member):
                document[member] = getattr(self, member)
        if self.properties:
            document["properties"] = [
                {"name": str(name), "value": str(value)} for name, value in self.properties
            ]
        if self.retries:
            document["retries"] = min(max(self.retries, 0), _MAX_COUNT)
        if self.line is not None and 0 <= self.line <= _MAX_COUNT:
            document["line"] = self.line
        return document


@dataclass
class Step:
    """A step of a build: a command, or a whole test run with its cases.

    ``id`` is not part of what is stored: it lets the server see that a step is the same one again.
    """

    name: str
    success: bool
    started: datetime = field(default_factory=now)
    finished: datetime = field(default_factory=now)
    output: str = ""
    errout: str = ""
    tests: list[Test] = field(default_factory=list)
    #: Any other members, such as ``{"exit_code": 1}``. They come back as they were sent.
    extras: Document = field(default_factory=dict)
    id: str = field(default_factory=new_id)

    def document(self) -> Document:
        """Return the step as the API has it."""
        document: Document = {
            **self.extras,
            "name": self.name.replace("\0", "\ufffd"),
            "success": self.success,
            "started": date(self.started),
            "finished": date(self.finished),
            "output": self.output,
            "errout": self.errout,
        }
        if self.tests:
            document["tests"] = [test.document() for test in self.tests]
        return _clean_document(document)


@dataclass
class Build:
    """A build, which may be one test run. ``id`` is chosen here, so that a retry is safe.

    ``components`` names what was tested: ids, or ``{"type": "kernel", "name": "6.12"}``.
    """

    success: bool
    started: datetime = field(default_factory=now)
    finished: datetime = field(default_factory=now)
    tags: list[str] = field(default_factory=list)
    client: Document = field(default_factory=dict)
    results: list[Step] = field(default_factory=list)
    components: list[Union[str, dict[str, str]]] = field(default_factory=list)
    id: str = field(default_factory=new_id)

    def document(self) -> Document:
        """Return the build as the API has it. It has every date, so a retry sends the same."""
        document: Document = {
            "success": self.success,
            "started": date(self.started),
            "finished": date(self.finished),
            "tags": list(self.tags),
            "client": self.client,
            "results": [step.document() for step in self.results],
        }
        if self.components:
            document["components"] = list(self.components)
        return _clean_document(document)


def date(moment: datetime) -> str:
    """Return a date as the server reads it. One without an offset is local time."""
    return moment.astimezone(timezone.utc).isoformat()


def _clean_document(document: Document) -> Document:
    """Return the document with nothing in it that is no JSON."""
    cleaned: Document = clean(document)
    return cleaned


def clean(value: Any) -> Any:
    """Return the value as JSON can say it.

    A lone surrogate, which Python has for a byte that was no text, becomes its escape: the server
    refuses a document that has one. NaN and infinity become null. What is no JSON becomes its text.
    """
    if isinstance(value, str):
        # Nearly all text is fine, and asking is ten times cheaper than copying it.
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-8", "backslashreplace").decode()
        return value
    if isinstance(value, dict):
        return {clean(str(name)): clean(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(member) for member in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int)):
        return value
    return clean(str(value))
