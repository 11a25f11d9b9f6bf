"""App Attest's receipts in words: a SET of numbered fields inside PKCS #7 signed data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from authenticator.inspecting import der
from authenticator.inspecting.certificates import certificate
from authenticator.inspecting.tree import Item, attempt, text_or_hex
from device_keys.encoding import FormatError

_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
_MAX_DEPTH: Final = 12
_FIELDS: Final = {
    2: "app id", 3: "attested certificate", 4: "client data hash", 5: "token", 6: "type", 7: "environment", 12: "creation time",
    17: "risk metric", 19: "not before", 21: "expiration time",
}  # fmt: skip


def is_signed_data(parts: tuple[der.Element, ...]) -> bool:
    """Whether these are the members of a PKCS #7 ContentInfo with signed data."""
    return len(parts) == 2 and parts[0].is_(der.OID) and der.object_identifier(parts[0].content) == _SIGNED_DATA


def receipt(data: bytes) -> Item:
    """The receipt's fields; certificates and signature are not judged. Raises FormatError for what is no signed data."""
    element, _ = der.read_one(data)
    if not is_signed_data(element.children()):
        raise FormatError("receipt", "PKCS #7 signed data")
    fields = [item for candidate in _octet_strings(element, 0) for item in _receipt_fields(candidate)]
    return Item(
        "receipt", items=tuple(fields), meaning="numbered as Apple does" if fields else "without numbered fields"
    )


def _octet_strings(element: der.Element, depth: int) -> Iterator[bytes]:
    if element.is_(der.OCTET_STRING):
        yield b"".join(part.content for part in element.children()) if element.constructed else element.content
    elif element.constructed and depth < _MAX_DEPTH:
        for child in element.children():
            yield from _octet_strings(child, depth + 1)


def _receipt_fields(content: bytes) -> list[Item]:
    try:
        outer, _ = der.read_one(content)
        entries = [entry.children() for entry in outer.children()] if outer.is_(der.SET) else []
    except FormatError:
        return []
    return [_field(*entry) for entry in entries if len(entry) == 3]


def _field(number: der.Element, version: der.Element, value: der.Element) -> Item:
    name = _FIELDS.get(number.integer(), "unknown")
    if number.integer() == 3:
        return attempt(f"[3] {name}", value.content, certificate)
    return Item(f"[{number.integer()}] {name}", text_or_hex(value.content))
