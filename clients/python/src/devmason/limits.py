"""How much of a test run's texts is sent, so that a report is never too long for a server."""

from __future__ import annotations

import json
from typing import Callable

from .model import Build, Document

#: The longest text of a case, in characters. Its beginning and its end are kept.
MAX_TEXT = 256 * 1024

#: The longest document, in bytes. The server takes 32 MiB unless it is set otherwise.
MAX_DOCUMENT = 24 * 1024 * 1024

#: The longest text of a failure in a report that would be too long, in characters.
_SHORT_TEXT = 2048


def cut(text: str, length: int = MAX_TEXT) -> str:
    """Return the text, without its middle where it is longer."""
    if len(text) <= length:
        return text
    half = length // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n[... {left_out} characters are left out ...]\n{text[-half:]}"


def fit(build: Build, max_bytes: int = MAX_DOCUMENT) -> Document:
    """Return the build's document. Where it is too long, what is needed least is left out.

    Those are the outputs of cases that passed, then all outputs, then the most of failures' texts, then
    the cases that passed. Each step then says so, in its member ``left_out``.
    """
    document = build.document()
    for left_out, shorten in _REDUCTIONS:
        if _size(document) <= max_bytes:
            break
        for step in document["results"]:
            step["left_out"] = left_out
            step["tests"] = [test for test in step.get("tests", ()) if shorten(test)]
    return document


def _size(document: Document) -> int:
    return len(json.dumps(document, ensure_ascii=False).encode())


def _drop_outputs_of_passed(test: Document) -> bool:
    return test["status"] != "passed" or _drop_outputs(test)


def _drop_outputs(test: Document) -> bool:
    test.pop("stdout", None)
    test.pop("stderr", None)
    return True


def _shorten_texts(test: Document) -> bool:
    failure = test.get("failure", {})
    for member in ("message", "text"):
        if member in failure:
            failure[member] = cut(failure[member], _SHORT_TEXT)
    # Properties are whatever a test recorded.
    for each in test.get("properties", ()):
        each["value"] = cut(each["value"], _SHORT_TEXT)
    return True


def _is_worth_telling(test: Document) -> bool:
    return bool(test["status"] != "passed")


#: What to do with each case, which tells whether to keep it, and how the step says so.
_REDUCTIONS: tuple[tuple[str, Callable[[Document], bool]], ...] = (
    ("the outputs of cases that passed", _drop_outputs_of_passed),
    ("the outputs of cases", _drop_outputs),
    ("the outputs of cases, and parts of failures' texts", _shorten_texts),
    ("the cases that passed, outputs, and parts of failures' texts", _is_worth_telling),
)
