"""A tolerant walk over DER, and over BER with indefinite lengths as Apple's receipts have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from authenticator.inspecting.tree import Item, text_or_hex
from device_keys.encoding import FormatError

_MAX_DEPTH: Final = 24
LONGEST_INTEGER: Final = (
    1024  # bytes, an RSA modulus of 8,192 bits: Python writes no number of much more than that as text
)
UNIVERSAL, CONTEXT = 0, 2
BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID, ENUMERATED, SEQUENCE, SET = 1, 2, 3, 4, 5, 6, 10, 16, 17

_NAMES: Final = {
    1: "BOOLEAN", 2: "INTEGER", 3: "BIT STRING", 4: "OCTET STRING", 5: "NULL", 6: "OBJECT IDENTIFIER", 10: "ENUMERATED", 12: "UTF8String",
    16: "SEQUENCE", 17: "SET", 19: "PrintableString", 22: "IA5String", 23: "UTCTime", 24: "GeneralizedTime",
}  # fmt: skip
_TEXTS: Final = frozenset({12, 19, 22, 23, 24})


@dataclass(frozen=True, slots=True)
class Element:
    """One tag, length and content. `tag_class`: 0 universal, 1 application, 2 context-specific, 3 private."""

    tag_class: int
    constructed: bool
    number: int
    content: bytes
    raw: bytes

    def children(self) -> tuple[Element, ...]:
        """The elements inside. Raises FormatError."""
        return read_all(self.content)

    def is_(self, number: int) -> bool:
        """Whether it is this universal type."""
        return self.tag_class == UNIVERSAL and self.number == number

    def integer(self) -> int:
        """Content as a signed number, whatever the tag. Raises FormatError for one too long to be written as text."""
        if len(self.content) > LONGEST_INTEGER:
            raise FormatError("INTEGER", f"at most {LONGEST_INTEGER} bytes")
        return int.from_bytes(self.content, "big", signed=True)


def read_one(data: bytes, depth: int = 0) -> tuple[Element, bytes]:
    """The first element, and the bytes after it. Raises FormatError."""
    number, position = _tag_number(data)
    if position >= len(data):
        raise FormatError("DER", "a length")
    if data[0] & 0x20 and data[position] == 0x80:
        return _indefinite(data, number, position + 1, depth)
    size, position = _length(data, position)
    if position + size > len(data):
        raise FormatError("DER", f"{size} bytes of content, not {len(data) - position}")
    end = position + size
    element = Element(data[0] >> 6, bool(data[0] & 0x20), number, data[position:end], data[:end])
    return element, data[end:]


def _indefinite(data: bytes, number: int, position: int, depth: int) -> tuple[Element, bytes]:
    """Content up to the end-of-contents mark at its own level."""
    if depth >= _MAX_DEPTH:
        raise FormatError("DER", f"indefinite lengths nested at most {_MAX_DEPTH} deep")
    rest = data[position:]
    while not rest.startswith(b"\0\0"):
        _, rest = read_one(rest, depth + 1)
    end = len(data) - len(rest)
    return Element(data[0] >> 6, True, number, data[position:end], data[: end + 2]), rest[2:]


def _tag_number(data: bytes) -> tuple[int, int]:
    if not data:
        raise FormatError("DER", "a tag")
    if data[0] & 0x1F != 0x1F:
        return data[0] & 0x1F, 1
    number = 0
    for position in range(1, min(len(data), 6)):
        number = number << 7 | data[position] & 0x7F
        if not data[position] & 0x80:
            return number, position + 1
    raise FormatError("DER", "a tag number of at most five bytes")


def _length(data: bytes, position: int) -> tuple[int, int]:
    first = data[position]
    if first < 0x80:
        return first, position + 1
    count = first & 0x7F
    octets = data[position + 1 : position + 1 + count]
    if not 1 <= count <= 4 or len(octets) != count:
        raise FormatError("DER", "a definite length of at most four bytes")
    return int.from_bytes(octets, "big"), position + 1 + count


def read_all(data: bytes) -> tuple[Element, ...]:
    """Every element that fills `data`. Raises FormatError."""
    elements = []
    while data:
        element, data = read_one(data)
        elements.append(element)
    return tuple(elements)


def describe(element: Element, name: str = "", depth: int = 0) -> Item:
    """An element as it is, for structures whose meaning nobody documents."""
    own = (
        _NAMES.get(element.number, f"universal {element.number}")
        if element.tag_class == UNIVERSAL
        else _class_name(element)
    )
    label = f"{name} ({own})" if name else own
    if element.constructed and depth < _MAX_DEPTH:
        try:
            inside = element.children()
        except FormatError as error:
            return Item(label, element.content.hex(), problem=str(error))
        return Item(label, items=tuple(describe(child, depth=depth + 1) for child in inside))
    return Item(label, _primitive(element))


def _class_name(element: Element) -> str:
    return f"[{('', 'application ', '', 'private ')[element.tag_class]}{element.number}]"


def _primitive(element: Element) -> str | int | bool | None:
    if element.tag_class != UNIVERSAL:
        return element.content.hex()
    if element.number in (INTEGER, ENUMERATED) and len(element.content) <= 8:
        return element.integer()
    if element.number == BOOLEAN:
        return any(element.content)
    if element.number == NULL:
        return None
    if element.number == OID:
        return object_identifier(element.content)
    return text_or_hex(element.content) if element.number in {OCTET_STRING, *_TEXTS} else element.content.hex()


def object_identifier(content: bytes) -> str:
    """Dotted decimal."""
    arcs, value = [], 0
    for octet in content:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(value)
            value = 0
    if not arcs:
        return content.hex()
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, [first, arcs[0] - 40 * first, *arcs[1:]]))
