"""What a command prints: data to stdout, talk to stderr; with `--json` exactly one JSON document on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from authenticator.errors import PhoneError


class Output:
    """Where a command's result and its talk go."""

    def __init__(self, *, as_json: bool = False, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self.as_json = as_json
        self.stdout = stdout or sys.stdout
        self.stderr = stderr or sys.stderr

    def result(self, document: Any, text: str | None = None) -> None:
        """The command's result: the document, or for people the text (where there is none, the document indented)."""
        if self.as_json:
            _write(self.stdout, json.dumps(document, ensure_ascii=False))
        else:
            shown = text if text is not None else json.dumps(document, ensure_ascii=False, indent=2)
            if shown:
                _write(self.stdout, shown)

    def say(self, text: str) -> None:
        """Talk."""
        _write(self.stderr, text)

    def error(self, error: PhoneError) -> None:
        """A refusal or error, where the reader of this mode looks."""
        if self.as_json:
            _write(self.stdout, json.dumps(error.to_json(), ensure_ascii=False))
        else:
            _write(self.stderr, f"stepup-phone: {error.message}")


def _write(stream: TextIO, line: str) -> None:
    stream.write(line + "\n")
    stream.flush()


def table(rows: Sequence[tuple[str, ...]], headings: tuple[str, ...]) -> str:
    """Columns padded to their widest entry; the last one runs free."""
    lines = [headings, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings) - 1)]
    padded = (
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]) for line in lines
    )
    return "\n".join(line.rstrip() for line in padded)
