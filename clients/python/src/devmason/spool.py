"""Reports that could not be sent, kept on disk until they can."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from .errors import SpoolError
from .model import Document

#: The most bytes that a spool directory holds.
MAX_BYTES = 64 * 1024 * 1024

#: After so many seconds a file that is still being written belongs to a process that died.
_ABANDONED = 3600.0


@dataclass(frozen=True)
class Report:
    """A build's document, and where it belongs."""

    server: str
    project: str
    id: str
    document: Document


@dataclass(frozen=True)
class _Entry:
    path: Path
    size: int
    modified: float


class Spool:
    """A directory with a file for each report that waits, ``<milliseconds>-<id>.json``.

    A file that the server refused is renamed to ``.rejected`` and kept beside them, with the reason.
    Credentials are never written.
    """

    def __init__(self, directory: Path, max_bytes: int = MAX_BYTES) -> None:
        self.directory = directory
        self._max_bytes = max_bytes

    def add(self, report: Report) -> tuple[Path, int]:
        """Keep a report. Return its path, and how many older files had to go for it."""
        content = _encode(
            {
                "server": report.server,
                "project": report.project,
                "id": report.id,
                "document": report.document,
            }
        )
        if len(content) > self._max_bytes:
            raise SpoolError(f"the report has {len(content)} bytes, the spool holds {self._max_bytes}")
        try:
            self._make_directory()
            dropped = self._make_room(len(content))
            # By time, so that the oldest is sent, or goes, first.
            path = self.directory / f"{time.time_ns() // 1_000_000:013d}-{report.id}.json"
            _write(path, content)
        except OSError as error:
            raise _spool_error(self.directory, error) from error
        return path, dropped

    def waiting(self) -> list[Path]:
        """Return the files of the reports that wait, the oldest first."""
        try:
            return sorted(self.directory.glob("*.json"))
        except OSError as error:
            raise _spool_error(self.directory, error) from error

    def read(self, path: Path) -> Optional[Report]:
        """Return the report in a file; None if another process was faster, or it was no report.

        A file that is no report is rejected, so that it is looked at only once.
        """
        try:
            # A link in a directory that others may write to could name any file.
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            with os.fdopen(handle, "rb") as file:
                content = file.read(self._max_bytes + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _spool_error(path, error) from error
        report = _decode(content)
        if report is None:
            self.reject(path, {"message": "the file is no report"})
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
        """Rename a file to ``.rejected`` and put the reason into it as ``rejected``."""
        target = path.with_suffix(".rejected")
        try:
            content = path.read_bytes()
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
        # Parents are made as everybody's are; the reports are nobody else's business.
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        self.directory.mkdir(mode=0o700, exist_ok=True)
        if hasattr(os, "geteuid"):
            status = self.directory.stat()
            if status.st_uid != os.geteuid():
                raise PermissionError(1, "the directory belongs to somebody else")
            if stat.S_IMODE(status.st_mode) & 0o077:
                self.directory.chmod(0o700)

    def _make_room(self, needed: int) -> int:
        entries = list(self._entries())
        size = sum(entry.size for entry in entries)
        # What is of no more use goes first, then what is oldest.
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
    """Write a file that is either there whole or not at all."""
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
        report = Report(entry["server"], entry["project"], entry["id"], entry["document"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    texts = (report.server, report.project, report.id)
    is_report = all(isinstance(text, str) and text for text in texts)
    return report if is_report and isinstance(report.document, dict) else None


def _spool_error(path: Path, error: OSError) -> SpoolError:
    return SpoolError(f"{path}: {error.strerror or error}")
