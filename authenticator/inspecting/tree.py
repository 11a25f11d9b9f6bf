"""What an inspection finds: a tree of named values with their meanings, printed in words or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from device_keys.encoding import FormatError

_SHOWN_HEX: Final = 64


@dataclass(frozen=True, slots=True)
class Item:
    """One field. `value` is a JSON value (bytes as hex); `meaning` says it in words; `problem` what could not be read."""

    name: str
    value: Any = None
    meaning: str = ""
    items: tuple[Item, ...] = ()
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """The members that there are."""
        record: dict[str, Any] = {"name": self.name}
        if self.value is not None:
            record["value"] = self.value
        for member in ("meaning", "problem"):
            if getattr(self, member):
                record[member] = getattr(self, member)
        if self.items:
            record["items"] = [item.to_json() for item in self.items]
        return record


@dataclass(frozen=True, slots=True)
class Report:
    """What the data is, and everything in it."""

    kind: str
    items: tuple[Item, ...]

    def to_json(self) -> dict[str, Any]:
        """`{"kind", "contents": [{"name","value"?,"meaning"?,"problem"?,"items"?}], "unreadable": [{"where","problem"}]}`."""
        return {
            "kind": self.kind,
            "contents": [item.to_json() for item in self.items],
            "unreadable": [{"where": where, "problem": problem} for where, problem in _problems(self.items, "")],
        }

    def words(self) -> str:
        """An indented outline."""
        return "\n".join([self.kind, *_outline(self.items, "  ")])


def _problems(items: tuple[Item, ...], path: str) -> Iterator[tuple[str, str]]:
    for item in items:
        where = f"{path}.{item.name}" if path else item.name
        if item.problem:
            yield where, item.problem
        yield from _problems(item.items, where)


def _outline(items: tuple[Item, ...], indent: str) -> Iterator[str]:
    for item in items:
        value = "" if item.value is None else f": {_short(item.value)}"
        meaning = f" — {item.meaning}" if item.meaning else ""
        problem = f" [not read: {item.problem}]" if item.problem else ""
        yield f"{indent}{_visible(item.name)}{value}{meaning}{problem}"
        yield from _outline(item.items, indent + "  ")


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = _visible(str(value))
    hexadecimal = len(text) > _SHOWN_HEX and all(letter in "0123456789abcdef" for letter in text)
    return f"{text[:_SHOWN_HEX]}… ({len(text) // 2} bytes)" if hexadecimal else text


def _visible(text: str) -> str:
    """Control characters and marks that reorder text are shown, not obeyed: the data may be hostile."""
    return "".join(letter if letter.isprintable() else f"\\u{{{ord(letter):x}}}" for letter in text)


def unread(name: str, data: bytes, error: Exception | str) -> Item:
    """A part that could not be read, kept as it is."""
    return Item(name, data.hex(), problem=str(error))


def attempt(name: str, data: bytes, reader: Callable[[bytes], Item]) -> Item:
    """`reader`'s item under this name, or the bytes and what was expected of them."""
    try:
        return replace(reader(data), name=name)
    except FormatError as error:
        return unread(name, data, error)


def text_or_hex(data: bytes) -> str:
    """Printable text as text, else hex."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return data.hex()
    return text if text.isprintable() and text else data.hex()


def plain(name: str, value: Any) -> Item:
    """Any value of decoded CBOR or JSON."""
    if isinstance(value, bytes):
        return Item(name, value.hex())
    if isinstance(value, dict):
        return Item(name, items=tuple(plain(str(key), item) for key, item in value.items()))
    if isinstance(value, list | tuple):
        return Item(name, items=tuple(plain(f"[{index}]", item) for index, item in enumerate(value)))
    return Item(name, value if isinstance(value, str | int | float | bool | None) else str(value))
