"""Reports builds and test runs to a devmason server.

>>> import devmason
>>> client = devmason.Client("https://ci.example.org", "alice", "secret")  # doctest: +SKIP
>>> client.report("pony", devmason.Build(success=True, tags=["linux"]))  # doctest: +SKIP
"""

from ._version import __version__
from .client import BuildRef, Client, Running, RunningStep
from .errors import (
    AuthenticationFailed,
    ConnectionFailed,
    DevmasonError,
    NotFound,
    PermissionDenied,
    ProtocolError,
    RequestRefused,
    ServerUnavailable,
    SpoolError,
)
from .model import Build, Failure, Status, Step, Test

__all__ = [
    "AuthenticationFailed",
    "Build",
    "BuildRef",
    "Client",
    "ConnectionFailed",
    "DevmasonError",
    "Failure",
    "NotFound",
    "PermissionDenied",
    "ProtocolError",
    "RequestRefused",
    "Running",
    "RunningStep",
    "ServerUnavailable",
    "SpoolError",
    "Status",
    "Step",
    "Test",
    "__version__",
]
