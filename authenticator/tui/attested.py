"""An attestation for a narrow screen: first what a verifier may conclude, then every field, in words. Without Textual's screen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from textual.content import Content

if TYPE_CHECKING:
    from authenticator.inspect import Item, Report

_CERTIFICATE: Final = re.compile(r"\[\d+\]")
_SHOWN: Final = 20
_SELF_SIGNED: Final = (
    "The key signed for itself: that proves that it was there, and nothing about its hardware.",
    "Who may release it is not attested, so a biometric here is graded signed, not proved.",
)


def attested(report: Report) -> Content:
    """The decoded attestation."""
    parts: list[Any] = [("What may be concluded\n", "bold $accent")]
    parts += [f"• {line}\n" for line in conclusions(report.items)]
    parts += [("\nAll of it\n", "bold $accent"), *_lines(report.items, 0)]
    return Content.assemble(*parts)


def conclusions(items: tuple[Item, ...]) -> list[str]:
    """Sentences for a reader who does not know the format."""
    if not _all(items, "attStmt"):
        return ["Nothing: no statement is attached."]
    certificates = [item for item in _walk(items) if item.name == "certificates"]
    chain = [item for item in certificates[0].items if _CERTIFICATE.fullmatch(item.name)] if certificates else []
    if not chain:
        return list(_SELF_SIGNED)
    found = [f"{len(chain)} certificates lead from the key to {_subject(chain[-1])}."]
    for name, sentence in _FACTS:
        meanings = [item.meaning if name in _BY_MEANING else _plain(item.value) for item in _all(items, name)]
        if meanings:
            found.append(sentence.format(meanings[0]))
    return found


_BY_MEANING: Final = ("attestationSecurityLevel", "[702] origin", "gate", "verifiedBootState", "[706] osPatchLevel")
_FACTS: Final = (
    ("attestationSecurityLevel", "The key lives in: {}."),
    ("[702] origin", "Its origin: {}; it never left."),
    ("gate", "It is released by: {}."),
    ("verifiedBootState", "The system booted: {}."),
    ("deviceLocked", "Bootloader locked: {}."),
    ("package", "The app: {}."),
    ("[706] osPatchLevel", "Patched: {}."),
)


def _subject(certificate: Item) -> str:
    subjects = [_plain(item.value) for item in certificate.items if item.name == "subject"]
    return subjects[0].split("CN=")[-1] if subjects else "a root"


def _walk(items: Iterable[Item]) -> Iterator[Item]:
    for item in items:
        yield item
        yield from _walk(item.items)


def _all(items: Iterable[Item], name: str) -> list[Item]:
    return [item for item in _walk(items) if item.name == name]


def _plain(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _lines(items: tuple[Item, ...], depth: int) -> Iterator[Any]:
    from authenticator.display import visible

    for item in items:
        value = "" if item.value is None else _short(visible(_plain(item.value)))
        words = " — ".join(text for text in (value, item.meaning, item.problem and f"not read: {item.problem}") if text)
        yield (f"{' ' * depth}{visible(item.name)} ", "$muted" if words else "bold")
        yield f"{words}\n"
        yield from _lines(item.items, depth + 1)


def _short(text: str) -> str:
    hexadecimal = len(text) > _SHOWN and all(letter in "0123456789abcdef" for letter in text)
    return f"{text[:_SHOWN]}…" if hexadecimal else text
