"""The exceptions of this package, in one hierarchy."""

from __future__ import annotations

from typing import Any, Optional


class DevmasonError(Exception):
    """Base class of all exceptions of this package.

    ``status`` is the status of the server's response, or None without a response. ``payload`` holds
    the response's other members, such as ``{"field": "results[3].started"}``.
    """

    #: The number of seconds that the server asks to wait before the next attempt.
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
        """Whether the same request would be refused again, even with everything around it corrected."""
        return False


class ConnectionFailed(DevmasonError):
    """No complete response: unknown host, connection refused or broken, or a timeout."""

    #: Whether a retry within seconds may help. An invalid certificate does not change that fast.
    is_worth_retrying: bool = True


class ProtocolError(DevmasonError):
    """The response is not from a devmason server."""


class ServerUnavailable(DevmasonError):
    """The server failed or is overloaded (408, 425, 429, 5xx), also on the last attempt."""


class RequestRefused(DevmasonError):
    """The server understood the request and refused it (4xx)."""

    @property
    def is_permanent(self) -> bool:
        """Whether the document itself was refused."""
        return True


class AuthenticationFailed(RequestRefused):
    """Credentials are missing or wrong (401)."""

    @property
    def is_permanent(self) -> bool:
        """Never: other credentials may be accepted."""
        return False


class PermissionDenied(RequestRefused):
    """These credentials lack the permission (403)."""

    @property
    def is_permanent(self) -> bool:
        """Never: permission may be granted."""
        return False


class NotFound(RequestRefused):
    """Not found (404), for example an unregistered project."""

    @property
    def is_permanent(self) -> bool:
        """Never: the project may be registered."""
        return False


class SpoolError(DevmasonError):
    """The spool directory cannot be read or written."""


#: Statuses after which the same request may succeed a little later.
TRANSIENT = frozenset({408, 425, 429})


def from_status(status: int, message: str, payload: dict[str, Any]) -> DevmasonError:
    """Create the exception for a response with an error status."""
    kinds = {401: AuthenticationFailed, 403: PermissionDenied, 404: NotFound}
    if status in TRANSIENT or status >= 500:
        return ServerUnavailable(message, status, payload)
    if 400 <= status < 500:
        return kinds.get(status, RequestRefused)(message, status, payload)
    return ProtocolError(message, status, payload)
