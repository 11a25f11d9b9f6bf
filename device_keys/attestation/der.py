"""What a certificate's DER says about names and algorithms, as the bytes that stand there.

`cryptography` reads and checks the whole certificate; the bytes of a name, which RFC 5280 compares, it gives only after building objects
of every attribute. Only certificates that it has loaded come here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

ORGANIZATIONAL_UNIT: Final = b"\x55\x04\x0b"  # 2.5.4.11

_VERSION = 0xA0
_UTF8_STRING, _PRINTABLE_STRING = 0x0C, 0x13


class Names(NamedTuple):
    """Issuer and subject as DER names, and whether the signature's algorithm is the same inside and outside of what is signed."""

    issuer: bytes
    subject: bytes
    one_algorithm: bool


def read_names(der: bytes) -> Names:
    """The names of a certificate (RFC 5280 section 4.1)."""
    at, _ = _content(der, 0)
    at, signed_end = _content(der, at)
    if der[at] == _VERSION:
        at = _content(der, at)[1]
    algorithm = _content(der, at)[1]
    issuer = _content(der, algorithm)[1]
    validity = _content(der, issuer)[1]
    subject = _content(der, validity)[1]
    end = _content(der, subject)[1]
    outside = der[signed_end : _content(der, signed_end)[1]]
    return Names(der[issuer:validity], der[subject:end], der[algorithm:issuer] == outside)


def texts(name: bytes, attribute: bytes) -> list[str] | None:
    """The values of one attribute (content of its OBJECT IDENTIFIER) in a DER name; None where one is of an older string type."""
    found = []
    for relative in _elements(name, *_content(name, 0)):
        for pair in _elements(name, *relative):
            (start, end), (at, until) = _elements(name, *pair)
            if name[start:end] == attribute:
                if name[end] not in (_UTF8_STRING, _PRINTABLE_STRING):
                    return None
                found.append(name[at:until].decode())
    return found


def _elements(der: bytes, at: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the contents of the elements between `at` and `end` begin and end."""
    while at < end:
        start, at = _content(der, at)
        yield start, at


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at `at` begins and ends."""
    size = der[at + 1]
    if size < 0x80:
        return at + 2, at + 2 + size
    start = at + 2 + (size & 0x7F)
    return start, start + int.from_bytes(der[at + 2 : start], "big")
