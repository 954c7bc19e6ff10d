"""Limits on the text of a test run, so that a report is never too long for a server."""

from __future__ import annotations

import json
from typing import Callable

from .model import Build, Document

#: The maximum length of a case's text, in characters. Its beginning and its end are kept.
MAX_TEXT = 256 * 1024

#: The maximum size of a document, in bytes. The server's default limit is 32 MiB.
MAX_DOCUMENT = 24 * 1024 * 1024

#: The maximum length of a failure's text in a shortened report, in characters.
_SHORT_TEXT = 2048


def cut(text: str, length: int = MAX_TEXT) -> str:
    """Return the text, without its middle if it is too long."""
    if len(text) <= length:
        return text
    half = length // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n[... {left_out} characters omitted ...]\n{text[-half:]}"


def fit(build: Build, max_bytes: int = MAX_DOCUMENT) -> Document:
    """Return the build's document, shortened if it is too long.

    It omits, in this order: the outputs of passed cases, all outputs, most of the failures' texts,
    the passed cases. Each shortened step notes that in its member ``left_out``.
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
    # Properties are arbitrary data from a test.
    for each in test.get("properties", ()):
        each["value"] = cut(each["value"], _SHORT_TEXT)
    return True


def _is_worth_telling(test: Document) -> bool:
    return bool(test["status"] != "passed")


#: The reductions in order: the note for the step, and a function that shortens a case and tells
#: whether to keep it.
_REDUCTIONS: tuple[tuple[str, Callable[[Document], bool]], ...] = (
    ("the output of passed cases", _drop_outputs_of_passed),
    ("the output of all cases", _drop_outputs),
    ("the output of all cases and parts of the failure texts", _shorten_texts),
    ("the passed cases, all output, and parts of the failure texts", _is_worth_telling),
)
