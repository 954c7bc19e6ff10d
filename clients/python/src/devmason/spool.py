"""Reports queued on disk until they can be sent."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from .errors import SpoolError
from .model import Document

#: The maximum size of a spool directory, in bytes.
MAX_BYTES = 64 * 1024 * 1024

#: The server's syntax of project names and build ids: nothing else goes into a URL.
_PROJECT = re.compile(r"[A-Za-z0-9_-]{1,100}")
_ID = re.compile(r"(?!(?:latest|\.{1,2})\Z)[A-Za-z0-9._~-]{1,100}")

#: Do not follow links, and do not wait for the other end of a pipe.
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)

#: After this many seconds, a partially written file belongs to a dead process.
_ABANDONED = 3600.0


@dataclass(frozen=True)
class Report:
    """A build's document and its destination."""

    server: str
    project: str
    id: str
    document: Document
    #: Whether the server may have the build already, as one that runs.
    begun: bool = False


@dataclass(frozen=True)
class _Entry:
    path: Path
    size: int
    modified: float


class Spool:
    """A directory with one file per queued report, ``<milliseconds>-<id>.json``.

    A file that the server refused is renamed to ``.rejected`` and kept beside them, with the
    reason. Credentials are never written.
    """

    def __init__(self, directory: Path, max_bytes: int = MAX_BYTES) -> None:
        self.directory = directory
        self._max_bytes = max_bytes

    def add(self, report: Report) -> tuple[Path, int]:
        """Queue a report. Return its path, and how many older files were removed to make room."""
        content = _encode(
            {
                "server": report.server,
                "project": report.project,
                "id": report.id,
                "document": report.document,
                "begun": report.begun,
            }
        )
        if not _is_named(report):
            raise SpoolError("the report has an invalid project or id")
        if len(content) > self._max_bytes:
            raise SpoolError(f"the report has {len(content)} bytes; the queue limit is {self._max_bytes}")
        try:
            self._make_directory()
            dropped = self._make_room(len(content))
            # By time, so that the oldest is sent or removed first.
            path = self.directory / f"{time.time_ns() // 1_000_000:013d}-{report.id}.json"
            _write(path, content)
        except OSError as error:
            raise _spool_error(self.directory, error) from error
        return path, dropped

    def waiting(self) -> list[Path]:
        """Return the files of queued reports, oldest first."""
        try:
            self._check_directory()
            return sorted(self.directory.glob("*.json"))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _spool_error(self.directory, error) from error

    def read(self, path: Path) -> Optional[Report]:
        """Return the report in a file; None if another process was faster, or if it is invalid.

        An invalid file is rejected, so that it is read only once.
        """
        try:
            content = self._content(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _spool_error(path, error) from error
        report = _decode(content)
        if report is None:
            self.reject(path, {"message": "not a report"})
        return report

    def remove(self, path: Path) -> None:
        """Remove the file of a report that was sent."""
        try:
            path.unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _spool_error(path, error) from error

    def reject(self, path: Path, reason: dict[str, Any]) -> Path:
        """Rename a file to ``.rejected`` and add the reason to it as ``rejected``."""
        target = path.with_suffix(".rejected")
        try:
            content = self._content(path)
            try:
                document = json.loads(content)
            except (ValueError, RecursionError):
                document = None
            if not isinstance(document, dict):
                document = {"content": content.decode(errors="replace")}
            _write(target, _encode({"rejected": reason, **document}))
            path.unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _spool_error(path, error) from error
        return target

    def _make_directory(self) -> None:
        # Parents get default permissions; the reports themselves are private.
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        self.directory.mkdir(mode=0o700, exist_ok=True)
        self._check_directory()

    def _check_directory(self) -> None:
        """Make the directory private; do not trust one that others could write to."""
        status = self.directory.lstat()
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "a symbolic link, or not a directory")
        if not hasattr(os, "geteuid"):
            return
        if status.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "the directory is owned by another user")
        if status.st_mode & 0o022:
            raise PermissionError(
                errno.EPERM, "the directory is writable by other users; empty it and run 'chmod 700' on it"
            )
        if status.st_mode & 0o077:
            self.directory.chmod(0o700)

    def _content(self, path: Path) -> bytes:
        """Return the contents of a file that only this user may read or write."""
        handle = os.open(path, _READ)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise PermissionError(errno.EPERM, "not a regular file")
            if hasattr(os, "geteuid"):
                if status.st_uid != os.geteuid():
                    raise PermissionError(errno.EPERM, "owned by another user")
                if status.st_mode & 0o077:
                    raise PermissionError(errno.EPERM, "readable by other users; run 'chmod 600' on it")
            return file.read(self._max_bytes + 1)

    def _make_room(self, needed: int) -> int:
        entries = list(self._entries())
        size = sum(entry.size for entry in entries)
        # Remove useless files first, then the oldest.
        entries.sort(key=lambda entry: (entry.path.suffix == ".json", entry.modified))
        dropped = 0
        for entry in entries:
            abandoned = entry.path.suffix == ".tmp" and entry.modified < time.time() - _ABANDONED
            if not abandoned and size + needed <= self._max_bytes:
                continue
            entry.path.unlink(missing_ok=True)
            size -= entry.size
            dropped += entry.path.suffix == ".json"
        return dropped

    def _entries(self) -> Iterator[_Entry]:
        for path in self.directory.iterdir():
            if path.suffix not in (".json", ".rejected", ".tmp"):
                continue
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            yield _Entry(path, status.st_size, status.st_mtime)


def _write(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _encode(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _decode(content: bytes) -> Optional[Report]:
    try:
        entry = json.loads(content)
        report = Report(
            entry["server"],
            entry["project"],
            entry["id"],
            entry["document"],
            entry.get("begun") is True,
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    texts = (report.server, report.project, report.id)
    is_report = all(isinstance(text, str) and text for text in texts)
    is_report = is_report and _is_named(report)
    return report if is_report and isinstance(report.document, dict) else None


def _is_named(report: Report) -> bool:
    """Return whether project and id are valid, so that they lead to a build and nowhere else."""
    return bool(_PROJECT.fullmatch(report.project) and _ID.fullmatch(report.id))


def _spool_error(path: Path, error: OSError) -> SpoolError:
    return SpoolError(f"{path}: {error.strerror or error}")
