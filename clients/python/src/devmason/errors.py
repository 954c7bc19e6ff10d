"""What can go wrong, as one hierarchy of exceptions."""

from __future__ import annotations

from typing import Any, Optional


class DevmasonError(Exception):
    """Anything that this package raises.

    ``status`` is the status of the server's answer, or None where there was no answer. ``payload`` is
    what the server says beside its message, such as ``{"field": "results[3].started"}``.
    """

    #: For how many seconds the server asks to wait before the next try.
    retry_after: Optional[float] = None

    def __init__(
        self,
        message: str,
        status: Optional[int] = None,
        payload: Optional[dict[str, Any]] = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.payload: dict[str, Any] = payload or {}

    def __str__(self) -> str:
        return self.message if self.status is None else f"{self.status}: {self.message}"

    @property
    def is_permanent(self) -> bool:
        """Whether the same request would be refused again, whatever is set right around it."""
        return False


class ConnectionFailed(DevmasonError):
    """There was no whole answer: no such host, nobody listening, a broken connection, a timeout."""

    #: Whether it may be better within seconds. A certificate that is wrong is not.
    is_worth_retrying: bool = True


class ProtocolError(DevmasonError):
    """There was an answer, but not one of a devmason server."""


class ServerUnavailable(DevmasonError):
    """The server failed or has too much to do (408, 425, 429, 5xx), on the last try as well."""


class RequestRefused(DevmasonError):
    """The server understood the request and refused it (4xx)."""

    @property
    def is_permanent(self) -> bool:
        """Whether the document itself was refused."""
        return True


class AuthenticationFailed(RequestRefused):
    """Credentials are needed, or wrong (401)."""

    @property
    def is_permanent(self) -> bool:
        """Never: other credentials may be accepted."""
        return False


class PermissionDenied(RequestRefused):
    """These credentials do not permit it (403)."""

    @property
    def is_permanent(self) -> bool:
        """Never: rights may be given."""
        return False


class NotFound(RequestRefused):
    """Nothing is there (404), such as a project that nobody registered."""

    @property
    def is_permanent(self) -> bool:
        """Never: the project may be registered."""
        return False


class SpoolError(DevmasonError):
    """The spool directory cannot be read or written."""


#: Statuses after which the same request may succeed a little later.
TRANSIENT = frozenset({408, 425, 429})


def from_status(status: int, message: str, payload: dict[str, Any]) -> DevmasonError:
    """Make the exception for an answer of this status, which is none of success."""
    kinds = {401: AuthenticationFailed, 403: PermissionDenied, 404: NotFound}
    if status in TRANSIENT or status >= 500:
        return ServerUnavailable(message, status, payload)
    if 400 <= status < 500:
        return kinds.get(status, RequestRefused)(message, status, payload)
    return ProtocolError(message, status, payload)
