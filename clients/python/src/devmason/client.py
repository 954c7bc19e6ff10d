"""The client: queries to a devmason server, and reports to it."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Optional, Union
from urllib.parse import quote, urlencode, urlsplit

from .errors import DevmasonError, NotFound, ProtocolError, RequestRefused
from .model import Build, Document, Step, Test, clean, date
from .transport import Answer, Request, Transport

#: A report file: its path, or its contents.
ReportFile = Union[str, "PathLike[str]", bytes]

#: The server recognizes a file by its contents, so no exact type is needed.
_FILE_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class BuildRef:
    """A build on the server: its id and its URL."""

    id: str
    url: str


class Client:
    """A devmason server, used by one user or anonymously.

    A request is retried if the server is unreachable or overloaded: at most ``retries`` times, with
    growing waits and as ``Retry-After`` asks. However often it is sent, it is stored once. One
    attempt may stall for ``timeout`` seconds, and one call of a method takes ``budget`` seconds at
    most, including retries and waits.

    Credentials are sent only to the origin of ``url``, and never appear in a message.
    """

    def __init__(
        self,
        url: str,
        username: Optional[str] = None,
        password: Optional[str] = None,
        timeout: float = 30.0,
        retries: int = 4,
        budget: float = 120.0,
    ) -> None:
        self._transport = Transport(url, username, password, timeout, retries)
        self._budget = budget
        #: The URLs of build lists, from the documents of projects read so far.
        self._build_lists: dict[str, str] = {}

    @property
    def url(self) -> str:
        """The server's URL, without credentials."""
        return self._transport.base.rstrip("/")

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def project(self, name: str) -> Document:
        """Return a project's document; raise NotFound if it is not registered."""
        return self._document(self._project_url(name), self._deadline())

    def register(self, name: str, title: Optional[str] = None, reporting: Optional[str] = None) -> Document:
        """Register a project, or change its title and who may report to it.

        ``name`` is the project in URIs, ``title`` its display name. ``reporting`` is ``anyone``,
        ``authenticated`` or ``owner``.
        """
        body: Document = {"name": name if title is None else title}
        if reporting is not None:
            body["reporting"] = reporting
        request = _json("PUT", self._project_url(name), body)
        return self._transport.send(request, self._deadline()).json()

    def report(self, project: str, build: Build) -> BuildRef:
        """Store a complete build. Reporting it again has no further effect."""
        return self.put(project, build.id, build.document())

    def put(self, project: str, id: str, document: Document) -> BuildRef:
        """Store a build's document under an id chosen by the caller."""
        deadline = self._deadline()
        url = self._build_url(project, id, deadline)
        request = _json("PUT", url, document)
        request.retry_conflict = True
        answer = self._transport.send(request, deadline)
        # A server other than devmason might answer 200 to anything.
        answer.location()
        return BuildRef(id, url)

    def complete(self, project: str, id: str, document: Document) -> BuildRef:
        """Store a complete build with one step that may have been begun under this id.

        The step that runs gets its end and its cases; what it wrote is in its log. Doing it again has
        no further effect.
        """
        deadline = self._deadline()
        url = self._build_url(project, id, deadline)
        try:
            begun = self._document(url, deadline)
        except NotFound:
            return self.put(project, id, document)
        progress = self._find_link(begun, "progress")
        step = dict(document["results"][0])
        if begun["results"]:
            running = begun["results"][0]
            log = RunningStep(self, f"{url}/steps/0", datetime.fromisoformat(step["started"]))
            for stream, member in (("out", "output"), ("err", "errout")):
                text = step.pop(member)
                # It may be there, from an attempt whose response was lost.
                if text and running["state"] == "running" and not running[member].endswith(text):
                    log.seek_end()
                    log.write(text, stream)
            self._transport.send(_json("PUT", log.url, step), deadline)
        elif progress is not None:
            request = _json("POST", progress, step)
            request.headers["Idempotency-Key"] = f"{id}/0"
            self._transport.send(request, deadline)
        if progress is None:
            return BuildRef(id, url)
        finished = datetime.fromisoformat(document["finished"])
        return Running(self, BuildRef(id, url), progress).end(document["success"], finished)

    def begin(
        self,
        project: str,
        tags: Sequence[str] = (),
        client: Optional[Mapping[str, Any]] = None,
        started: Optional[datetime] = None,
        id: Optional[str] = None,
    ) -> Running:
        """Open a build that is reported step by step while it runs."""
        build = Build(success=True, tags=list(tags), client=dict(client or {}))
        document = build.document()
        del document["success"], document["finished"], document["results"]
        document["incremental"] = True
        if started is not None:
            document["started"] = date(started)
        deadline = self._deadline()
        id = id or build.id
        url = self._build_url(project, id, deadline)
        request = _json("PUT", url, document)
        request.retry_conflict = True
        answer = self._transport.send(request, deadline)
        return Running(self, BuildRef(id, url), self._transport.at(answer.location()))

    def running(self, ref: Union[BuildRef, str]) -> Running:
        """Resume a build that was begun elsewhere, for example by another process."""
        document = self.get(ref)
        progress = self._link(document, "progress", "the build (it may be finished)")
        return Running(self, self._ref(self._link(document, "self", "the build")), progress)

    def upload(
        self,
        project: str,
        file: ReportFile,
        tags: Sequence[str] = (),
        client: Optional[Mapping[str, str]] = None,
        name: Optional[str] = None,
    ) -> BuildRef:
        """Store the output of a test tool (JUnit XML, TAP and others), as a new build on each call.

        ``client`` adds what the file lacks: ``host``, ``arch``, ``user``, and any other member of the
        client record. ``name`` is the step's name, by default the file's own name.
        """
        body, name = _file(file, name)
        query = [("tag", tag) for tag in tags]
        for member, value in (client or {}).items():
            plain = member in ("host", "arch", "user")
            query.append((member if plain else f"client.{member}", str(value)))
        deadline = self._deadline()
        url = _with_query(self._build_list(project, deadline), [*query, *_named(name)])
        answer = self._transport.send(_upload(url, body), deadline)
        return self._ref(self._transport.at(answer.location()))

    def builds(self, project: str, **parameters: Union[str, int]) -> Iterator[Document]:
        """Iterate over a project's builds, newest first, across all pages.

        ``parameters`` are those of the list: ``where``, ``query``, ``sort``, ``fields``, ``per_page``.
        """
        url = self._build_list(project, self._deadline())
        return self._pages(_with_query(url, list(parameters.items())), "builds")

    def get(self, what: Union[BuildRef, str]) -> Document:
        """Return the document of a build, or of any link."""
        return self._document(self._at(what), self._deadline())

    def tests(self, build: Union[BuildRef, str], **parameters: Union[str, int]) -> Iterator[Document]:
        """Iterate over a build's test cases; ``parameters`` such as ``status="failed,error"``."""
        document = self.get(build)
        if document.get("tests") is None:
            return iter(())
        url = self._link(document, "tests", "the build")
        return self._pages(_with_query(url, list(parameters.items())), "tests")

    def receipt(self, build: Union[BuildRef, str]) -> Document:
        """Return the receipt of a build's uploads."""
        return self.get(self._link(self.get(build), "receipt", "the build"))

    def _deadline(self) -> float:
        return time.monotonic() + self._budget

    def _project_url(self, name: str) -> str:
        return self._transport.base + quote(name, safe="")

    def _build_list(self, project: str, deadline: float) -> str:
        if project not in self._build_lists:
            document = self._document(self._project_url(project), deadline)
            self._build_lists[project] = self._link(document, "build-list", "the project")
        return self._build_lists[project]

    def _build_url(self, project: str, id: str, deadline: float) -> str:
        return f"{self._build_list(project, deadline)}/{quote(id, safe='')}"

    def _document(self, url: str, deadline: float) -> Document:
        return self._transport.send(Request("GET", url), deadline).json()

    def _pages(self, url: Optional[str], member: str) -> Iterator[Document]:
        while url is not None:
            document = self._document(url, self._deadline())
            yield from document.get(member) or ()
            url = self._find_link(document, "next")

    def _find_link(self, document: Document, rel: str) -> Optional[str]:
        for link in document.get("links") or ():
            if isinstance(link, dict) and link.get("rel") == rel and link.get("href"):
                return self._transport.at(str(link["href"]))
        return None

    def _link(self, document: Document, rel: str, whose: str) -> str:
        url = self._find_link(document, rel)
        if url is None:
            raise ProtocolError(f"{whose} has no link {rel!r}")
        return url

    def _at(self, what: Union[BuildRef, str]) -> str:
        return self._transport.at(what.url if isinstance(what, BuildRef) else what)

    def _ref(self, url: str) -> BuildRef:
        return BuildRef(urlsplit(url).path.rpartition("/")[2], url)


class Running:
    """A build that is reported while it runs. As a context manager it ends itself.

    An exception that leaves the ``with`` block makes the build a failed one.
    """

    def __init__(self, client: Client, build: BuildRef, progress: str) -> None:
        self._client = client
        self._progress = progress
        #: The build, which is visible from now on.
        self.build = build

    def __repr__(self) -> str:
        return f"Running({self.build.url!r})"

    def step(self, step: Step) -> None:
        """Add a step that has ended. Adding it again has no further effect."""
        request = _json("POST", self._progress, step.document())
        request.headers["Idempotency-Key"] = step.id
        self._send(request)

    def open(self, name: str, started: Optional[datetime] = None, **extras: Any) -> RunningStep:
        """Open a step that runs: its output and its end follow. ``extras`` are members of your own."""
        started = started or datetime.now(timezone.utc)
        body: Document = {**extras, "name": name, "state": "running", "started": date(started)}
        request = _json("POST", self._progress, body)
        request.headers["Idempotency-Key"] = str(uuid.uuid4())
        answer = self._client._transport.send(request, self._client._deadline())
        return RunningStep(self._client, self._client._transport.at(answer.location()), started)

    def upload(self, file: ReportFile, name: Optional[str] = None) -> None:
        """Add the output of a test tool as a step."""
        body, name = _file(file, name)
        self._send(_upload(_with_query(self._progress, _named(name)), body))

    def end(self, success: Optional[bool] = None, finished: Optional[datetime] = None) -> BuildRef:
        """Close the build. Unless given, its success and its end follow from the steps."""
        body: Document = {}
        if success is not None:
            body["success"] = success
        if finished is not None:
            body["finished"] = date(finished)
        try:
            self._send(_json("DELETE", self._progress, body))
        except RequestRefused as error:
            # The response to the attempt that closed it may have been lost.
            if error.status != 410:
                raise
        return self.build

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if error is None:
            self.end()
            return
        # The caller must see the error of the block.
        with contextlib.suppress(DevmasonError):
            self.end(success=False)

    def _send(self, request: Request) -> Answer:
        return self._client._transport.send(request, self._client._deadline())


def _json(method: str, url: str, body: Any) -> Request:
    text = json.dumps(clean(body), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Request(method, url, text.encode(), {"Content-Type": "application/json"})


def _upload(url: str, body: bytes) -> Request:
    headers = {"Content-Type": _FILE_TYPE, "Idempotency-Key": str(uuid.uuid4())}
    return Request("POST", url, body, headers)


def _file(file: ReportFile, name: Optional[str]) -> tuple[bytes, Optional[str]]:
    if isinstance(file, bytes):
        return file, name
    path = Path(file)
    return path.read_bytes(), name or path.name


def _named(name: Optional[str]) -> list[tuple[str, Union[str, int]]]:
    return [] if name is None else [("name", name)]


def _with_query(url: str, query: Sequence[tuple[str, Union[str, int]]]) -> str:
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query, quote_via=quote)}"


class RunningStep:
    """A step that runs: its log grows, and people can follow it. As a context manager it ends itself.

    An exception that leaves the ``with`` block makes the step a failed one.
    """

    def __init__(self, client: Client, url: str, started: datetime) -> None:
        self._client = client
        self._started = started
        self._written = 0
        #: The step's URL.
        self.url = url

    def __repr__(self) -> str:
        return f"RunningStep({self.url!r})"

    def write(self, text: str, stream: str = "out") -> None:
        """Append to the log; ``stream`` is ``out`` or ``err``. Each call is a request."""
        # A lone surrogate, as of a file name that is no text, cannot be sent.
        text = text.encode(errors="replace").decode()
        since = (datetime.now(timezone.utc) - self._started).total_seconds()
        request = _json("POST", self.url + "/log", [[max(0, int(since * 1000)), stream, text]])
        request.headers["Upload-Offset"] = str(self._written)
        self._client._transport.send(request, self._client._deadline())
        self._written += len(text.encode())

    def seek_end(self) -> None:
        """Go on where the log ends on the server, for example after another process wrote to it."""
        request = Request("HEAD", self.url + "/log")
        answer = self._client._transport.send(request, self._client._deadline())
        self._written = int(answer.headers["Upload-Offset"])

    def end(
        self,
        success: bool,
        tests: Sequence[Test] = (),
        finished: Optional[datetime] = None,
        **extras: Any,
    ) -> None:
        """End the step. ``extras`` replace the members that it was opened with."""
        finished = finished or datetime.now(timezone.utc)
        body: Document = {**extras, "success": success, "finished": date(finished)}
        if tests:
            body["tests"] = [test.document() for test in tests]
        self._client._transport.send(_json("PUT", self.url, body), self._client._deadline())

    def __enter__(self) -> RunningStep:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if error is None:
            self.end(success=True)
            return
        # The caller must see the error of the block.
        with contextlib.suppress(DevmasonError):
            self.end(success=False)
