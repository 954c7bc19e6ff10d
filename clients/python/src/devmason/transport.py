"""HTTP with retries: one request, sent until there is a response or the time is up."""

from __future__ import annotations

import base64
import email.utils
import http.client
import json
import random
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import IO, Any, Optional
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

from ._version import __version__
from .errors import (
    ConnectionFailed,
    DevmasonError,
    ProtocolError,
    ServerUnavailable,
    from_status,
)

#: The first wait before a retry, in seconds. It doubles each time.
FIRST_WAIT = 0.25

#: The longest wait in seconds, unless the server asks for more.
LONGEST_WAIT = 8.0

#: The maximum size of a response. A page of builds has some 32 MiB of output, escaped.
MAX_ANSWER = 256 * 1024 * 1024


@dataclass
class Request:
    """A request and its retry rules."""

    method: str
    url: str
    body: Optional[bytes] = None
    headers: dict[str, str] = field(default_factory=dict)
    #: Whether a 409 may be a conflict between two attempts of this request.
    retry_conflict: bool = False


@dataclass
class Answer:
    """A successful response."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> dict[str, Any]:
        """Return the document; raise ProtocolError if there is none."""
        document = _parse_object(self.body)
        if document is None:
            raise ProtocolError(
                "the response is not a JSON document; is this the URL of a devmason server?",
                self.status,
            )
        return document

    def location(self) -> str:
        """Return the resource's location; raise ProtocolError if there is none."""
        location = self.headers.get("Location")
        if not location:
            raise ProtocolError(
                "the response has no Location header; is this the URL of a devmason server?", self.status
            )
        return str(location)


def is_torn(url: SplitResult) -> bool:
    """Return whether the credentials extend into the path: the URL must not be shown or used."""
    return "@" in f"{url.path}{url.query}{url.fragment}"


class Transport:
    """Sends requests to one server.

    All requests go to the origin of ``url``: only path and query of a link are used. A server
    behind a proxy may not know its own origin, and the credentials must not go to another one.
    """

    def __init__(
        self,
        url: str,
        username: Optional[str],
        password: Optional[str],
        timeout: float,
        retries: int,
    ) -> None:
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the server URL must start with http:// or https:// and contain a host")
        if is_torn(parts):
            raise ValueError("the server URL has an @ after the host; write a / in the password as %2F")
        host = parts.netloc.rpartition("@")[2]
        if username is None and parts.username is not None:
            username, password = unquote(parts.username), unquote(parts.password or "")
        #: The server's URL, without credentials, with a trailing slash.
        self.base = urlunsplit((parts.scheme, host, parts.path.rstrip("/") + "/", "", ""))
        self._authorization: Optional[str] = None
        if username is not None:
            pair = f"{username}:{password or ''}".encode()
            self._authorization = "Basic " + base64.b64encode(pair).decode()
        self._timeout = timeout
        self._retries = retries
        self._opener = urllib.request.build_opener(_Redirects())

    def at(self, href: str) -> str:
        """Return the URL of a link or a ``Location``, at this server's origin."""
        base = urlsplit(self.base)
        parts = urlsplit(urljoin(self.base, href))
        return urlunsplit((base.scheme, base.netloc, parts.path, parts.query, ""))

    def send(self, request: Request, deadline: float) -> Answer:
        """Send the request until there is a response, its retries are used up, or the deadline passes."""
        retry = 0
        while True:
            try:
                return self._try(request, deadline)
            except DevmasonError as error:
                wait = self._wait(error, request, retry)
                if wait is None or time.monotonic() + wait >= deadline:
                    raise
            time.sleep(wait)
            retry += 1

    def _wait(self, error: DevmasonError, request: Request, retry: int) -> Optional[float]:
        """Return how long to wait before the next attempt; None if there should be none."""
        transient = (
            isinstance(error, ServerUnavailable)
            or (isinstance(error, ConnectionFailed) and error.is_worth_retrying)
            or (error.status == 409 and request.retry_conflict)
        )
        if not transient or retry >= self._retries:
            return None
        # Jitter, so that clients that failed together do not return together.
        own = min(FIRST_WAIT * 2.0**retry, LONGEST_WAIT) * random.uniform(0.5, 1.0)
        return max(error.retry_after or 0.0, own)

    def _try(self, request: Request, deadline: float) -> Answer:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise ConnectionFailed("the deadline has passed")
        headers = {
            "Accept": "application/json",
            "User-Agent": f"devmason-python/{__version__}",
            **request.headers,
        }
        if self._authorization is not None:
            headers["Authorization"] = self._authorization
        message = urllib.request.Request(  # noqa: S310 - the constructor lets only http and https in
            request.url, data=request.body, headers=headers, method=request.method
        )
        try:
            try:
                response = self._opener.open(message, timeout=min(self._timeout, remaining))
            except urllib.error.HTTPError as error:
                with error:
                    raise _refusal(error, _read(error, deadline)) from None
            with response:
                # The length of a response to HEAD is that of what GET would return.
                body = b"" if request.method == "HEAD" else _read(response, deadline)
                return Answer(response.status, response.headers, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _connection_failed(error) from error


def _read(response: Any, deadline: float) -> bytes:
    """Read a response. Each chunk may take the timeout, all of them no longer than the deadline."""
    declared = response.headers.get("Content-Length") or ""
    length = int(declared) if declared.isdecimal() else None
    pieces: list[bytes] = []
    size = 0
    while length is None or size < length:
        piece = response.read1(65536)
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
        if size > MAX_ANSWER:
            raise ProtocolError(f"the response exceeds {MAX_ANSWER} bytes")
        if time.monotonic() > deadline:
            raise ConnectionFailed("the response took too long")
    # Unlike read, read1 treats a broken connection as the end.
    if length is not None and size < length:
        raise http.client.IncompleteRead(b"", length - size)
    return b"".join(pieces)


def _refusal(error: urllib.error.HTTPError, body: bytes) -> DevmasonError:
    """Return the exception for an error response."""
    if 300 <= error.code < 400:
        target = urlsplit(error.headers.get("Location") or "")
        where = urlunsplit((target.scheme, target.netloc.rpartition("@")[2], target.path, "", ""))
        return ProtocolError(f"unexpected redirect to {where or 'nowhere'}", error.code)
    document = _parse_object(body) or {}
    message, payload = document.get("message"), document.get("payload")
    refusal = from_status(
        error.code,
        message if isinstance(message, str) else http.client.responses.get(error.code, "no reason"),
        payload if isinstance(payload, dict) else {},
    )
    refusal.retry_after = _seconds(error.headers.get("Retry-After"))
    return refusal


def _connection_failed(error: Exception) -> ConnectionFailed:
    """Return what broke the connection, in one line."""
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, TimeoutError):
        text = "timed out waiting for a response"
    elif isinstance(reason, OSError) and reason.strerror:
        text = reason.strerror
    else:
        text = str(reason) or type(reason).__name__
    failed = ConnectionFailed(text.partition("\n")[0][:300])
    # A certificate does not become valid within seconds.
    failed.is_worth_retrying = not isinstance(reason, ssl.SSLCertVerificationError)
    return failed


def _seconds(retry_after: Optional[str]) -> Optional[float]:
    """Return the seconds in ``Retry-After``, in either of its forms."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        moment = email.utils.parsedate_to_datetime(retry_after)
        return max(moment.timestamp() - time.time(), 0.0)
    except (TypeError, ValueError, OverflowError):
        return None


def _parse_object(body: bytes) -> Optional[dict[str, Any]]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects of GET within one origin.

    The standard handler would resend a POST as a GET, and send credentials to any host.
    """

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> Optional[urllib.request.Request]:
        """Return the request to continue with, or None."""
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if req.get_method() != "GET" or (old.scheme, old.netloc) != (new.scheme, new.netloc):
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)
