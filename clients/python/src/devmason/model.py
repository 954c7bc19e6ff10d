"""Builds, steps and test cases to report, and their documents."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, ClassVar, Literal, Optional, Union

#: The status of a test case. ``flaky``: failed, then passed in the same run. ``error``: it broke
#: before it had a result.
Status = Literal["passed", "flaky", "skipped", "failed", "error"]

#: JSON as created by this package.
Document = dict[str, Any]

#: The maximum line number and number of retries.
_MAX_COUNT = 2**31 - 1


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(timezone.utc)


def new_id() -> str:
    """Return a unique build id."""
    return str(uuid.uuid4())


@dataclass
class Failure:
    """Why a test failed: the exception's type, its message, and the full text with the traceback."""

    type: str = ""
    message: str = ""
    text: str = ""

    def document(self) -> Document:
        """Return the failure in the API's form."""
        return {"type": self.type, "message": self.message, "text": self.text}


@dataclass
class Test:
    """A test case of a step. The project identifies it by ``suite::name``."""

    #: pytest must not collect this class where it is imported.
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
        """Return the case in the API's form, without empty members."""
        document: Document = {"suite": self.suite, "name": self.name, "status": self.status}
        # If a clock was set back, the duration is negative, which the server rejects.
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

    ``id`` is not stored: it lets the server detect a repeated step.
    """

    name: str
    success: bool
    started: datetime = field(default_factory=now)
    finished: datetime = field(default_factory=now)
    output: str = ""
    errout: str = ""
    tests: list[Test] = field(default_factory=list)
    #: Other members, such as ``{"exit_code": 1}``. They are returned as sent.
    extras: Document = field(default_factory=dict)
    id: str = field(default_factory=new_id)

    def document(self) -> Document:
        """Return the step in the API's form."""
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
    """A build, for example one test run. ``id`` is chosen here, so that a retry is safe.

    ``components`` lists the things under test: ids, or ``{"type": "kernel", "name": "6.12"}``.
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
        """Return the build in the API's form. All dates are set, so a retry sends the same document."""
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
    """Return a date in the server's format. One without an offset is local time."""
    return moment.astimezone(timezone.utc).isoformat()


def _clean_document(document: Document) -> Document:
    """Return the document restricted to valid JSON."""
    cleaned: Document = clean(document)
    return cleaned


def clean(value: Any) -> Any:
    """Return the value restricted to valid JSON.

    A lone surrogate, which Python uses for an undecodable byte, becomes its escape: the server
    rejects a document that contains one. NaN and infinity become null. Anything else becomes its
    text.
    """
    if isinstance(value, str):
        # Nearly all text is fine, and checking is ten times cheaper than copying.
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
