"""What is in a file: recognises everything that this product makes or judges, ours or genuine, and says what it cannot read.

`inspect` never raises: what nobody recognises is reported as unknown, with its length and digest. Nothing here judges trust; that is the
server's part.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from authenticator.inspecting import der
from authenticator.inspecting.android import key_description
from authenticator.inspecting.certificates import certificate, chain
from authenticator.inspecting.receipts import is_signed_data, receipt
from authenticator.inspecting.tree import Item, Report, attempt, plain
from authenticator.inspecting.webauthn import (
    app_assertion,
    attestation_object,
    authenticator_data,
    client_data,
    cose,
    credential,
)
from device_keys.encoding import FormatError, b64url_decode, cbor_decode

__all__ = ["Item", "Report", "inspect"]

UNKNOWN: Final = "not recognised"
_LARGEST: Final = 16 * 2**20
_MAX_DEPTH: Final = 12
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s+([A-Za-z0-9+/=\s]+?)-----END \1-----")
_BUNDLE_END: Final = re.compile(rb',"digest":"([0-9a-f]{64})"(?:,"signature":\{[^{}]*\})?\}$')

Found = tuple[str, tuple[Item, ...]]


def inspect(data: bytes) -> Report:
    """Everything in `data`: bytes of a structure, or its text form (JSON, PEM, base64, base64url, hex)."""
    if len(data) > _LARGEST:
        return _unknown(data, f"at most {_LARGEST} bytes")
    with warnings.catch_warnings():
        # The library warns of names that break X.520's lengths; an inspector shows such names like any other.
        warnings.simplefilter("ignore", UserWarning)
        found = _recognise(data, 0)
    return Report(*found) if found is not None else _unknown(data, "a structure that this program knows")


def _unknown(data: bytes, expected: str) -> Report:
    digest = Item("sha256", hashlib.sha256(data).hexdigest())
    start = Item("data", data[:64].hex(), f"{len(data)} bytes", problem=f"expected {expected}")
    return Report(UNKNOWN, (digest, start))


def _recognise(data: bytes, depth: int) -> Found | None:
    """The first reader that knows it."""
    if not data or depth > _MAX_DEPTH:
        return None
    for reader in (_binary, _text):
        try:
            found = reader(data, depth)
        except (FormatError, RecursionError):
            continue
        if found is not None:
            return found
    return None


def _binary(data: bytes, depth: int) -> Found | None:
    readers: list[Callable[[bytes], Found]] = []
    if data[0] >> 5 == 5:
        readers.append(_cbor)
    if data[0] == 0x30:
        readers.append(_der)
    if len(data) >= 37:
        readers.append(_authenticator_data)
    for reader in readers:
        try:
            return reader(data)
        except FormatError:
            continue
    return None


# --- binary forms -------------------------------------------------------------------------------------------------------


def _cbor(data: bytes) -> Found:
    fields = cbor_decode(data)
    if not isinstance(fields, dict):
        raise FormatError("CBOR", "a map")
    if {"fmt", "attStmt", "authData"} <= set(fields):
        kind = "App Attest attestation" if fields["fmt"] == "apple-appattest" else "WebAuthn attestation object"
        return kind, attestation_object(fields).items
    if set(fields) == {"signature", "authenticatorData"}:
        return "App Attest assertion", app_assertion(fields).items
    if 1 in fields and 3 in fields:
        return "COSE key", (cose(fields, data),)
    return "CBOR map", plain("", fields).items


def _der(data: bytes) -> Found:
    """A certificate or several, a KeyDescription, a PKCS #7 receipt, or any DER."""
    elements = der.read_all(data)
    if len(elements) == 1:
        special = _special(elements[0])
        if special is not None:
            return special
    certificates = tuple(element.raw for element in elements)
    try:
        for one in certificates:
            certificate(one)
    except FormatError:
        return "DER", tuple(der.describe(element) for element in elements)
    return _chain_kind(len(certificates)), chain(certificates).items


def _chain_kind(count: int) -> str:
    return "X.509 certificate" if count == 1 else f"X.509 chain of {count} certificates"


def _special(element: der.Element) -> Found | None:
    try:
        parts = element.children()
        if len(parts) == 8 and all(part.is_(der.SEQUENCE) for part in parts[6:]):
            return "Android KeyDescription", key_description(element.raw).items
        if is_signed_data(parts):
            return "PKCS #7 signed data", (receipt(element.raw), der.describe(element))
    except FormatError:
        return None
    return None


def _authenticator_data(data: bytes) -> Found:
    """Only where its parts fill it: any 37 bytes and more could be authenticator data, but hardly with a readable remainder."""
    item = authenticator_data(data)
    if Report("", (item,)).to_json()["unreadable"] or data[32] & 0x22:
        raise FormatError("authenticatorData", "parts that can be read")
    return "authenticator data", item.items


# --- text forms ---------------------------------------------------------------------------------------------------------


def _text(data: bytes, depth: int) -> Found | None:
    try:
        text = data.decode("utf-8").strip()
    except UnicodeDecodeError:
        return None
    if text[:1] in ("{", "["):
        return _json(data.strip(), depth)
    if "-----BEGIN " in text:
        return _pem(data)
    if text.count(".") == 2 and text.startswith("ey"):
        return _jws(text, depth)
    return _encoded(text, depth)


def _pem(data: bytes) -> Found:
    try:
        blocks = [(label.decode(), b64decode(b"".join(body.split()) + b"==")) for label, body in _PEM.findall(data)]
    except ValueError:
        return "PEM", (Item("PEM", problem="expected base64 between BEGIN and END"),)
    certificates = tuple(body for label, body in blocks if label == "CERTIFICATE")
    items = chain(certificates).items if certificates else ()
    others = tuple(_pem_block(label, body) for label, body in blocks if label != "CERTIFICATE")
    if not blocks:
        return "PEM", (Item("PEM", problem="expected a complete block of base64 between BEGIN and END"),)
    return _chain_kind(len(certificates)) if certificates else "PEM", (*items, *others)


def _pem_block(label: str, body: bytes) -> Item:
    if "PRIVATE" in label:
        return Item(label, meaning="a private key; not shown")
    return attempt(label, body, lambda data: Item(label, items=(der.describe(der.read_one(data)[0]),)))


def _jws(text: str, depth: int) -> Found | None:
    header, payload, signature = text.split(".")
    try:
        parts = (b64url_decode(header), b64url_decode(payload), b64url_decode(signature))
        protected = json.loads(parts[0])
    except (ValueError, RecursionError):
        return None
    x5c = protected.pop("x5c", None) if isinstance(protected, dict) else None
    items = [Item("header", items=plain("", protected).items)]
    if isinstance(x5c, list):
        items.append(chain(tuple(_standard_base64(one) for one in x5c if isinstance(one, str))))
    items.append(_payload(parts[1], depth))
    items.append(
        Item("signature", parts[2].hex(), "over header and payload as they stand, base64url, with a dot between")
    )
    return "JWS", tuple(items)


def _standard_base64(text: str) -> bytes:
    try:
        return b64decode(text)
    except ValueError:
        return b""


def _payload(data: bytes, depth: int) -> Item:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        found = _recognise(data, depth + 1)
        return Item("payload", data.hex()) if found is None else Item("payload", meaning=found[0], items=found[1])
    return Item("payload", items=_walked("", value, depth + 1).items)


def _encoded(text: str, depth: int) -> Found | None:
    """Base64, base64url or hex of something else that is recognised."""
    compact = "".join(text.split())
    for name, data in _decodings(compact):
        found = _recognise(data, depth + 4) if data else None
        if found is not None:
            return f"{found[0]} ({name})", found[1]
    return None


def _decodings(text: str) -> Iterator[tuple[str, bytes]]:
    if len(text) < 16:
        return
    if re.fullmatch(r"(?:[0-9a-fA-F]{2})+", text):
        yield "hex", bytes.fromhex(text)
    if re.fullmatch(r"[A-Za-z0-9_-]+={0,2}", text):
        with suppress(FormatError):
            yield "base64url", b64url_decode(text.rstrip("="))
    if re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", text):
        with suppress(ValueError):
            yield "base64", b64decode(text)


def _json(data: bytes, depth: int) -> Found:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        return "JSON", (Item("JSON", problem=f"expected a JSON text ({error})"),)
    if not isinstance(value, dict):
        return "JSON", _walked("", value, depth).items
    if value.get("type") == "public-key" and isinstance(value.get("response"), dict):
        kind, item = credential(value)
        return kind, item.items
    if {"type", "challenge", "origin"} <= set(value):
        return "client data", client_data(data).items
    if str(value.get("format", "")).startswith("stepup-evidence/"):
        return "evidence bundle", (_bundle_digest(data), *_walked("", value, depth).items)
    return "JSON", _walked("", value, depth).items


def _bundle_digest(data: bytes) -> Item:
    """The digest is over the file without it and the signature after it, which takes the server's key to check."""
    match = _BUNDLE_END.search(data)
    if match is None:
        return Item("intact", False, "the file does not end with its digest")
    fits = hashlib.sha256(data[: match.start()] + b"}").hexdigest().encode() == match.group(1)
    return Item("intact", fits, "the digest fits the file" if fits else "the file was altered: its digest does not fit")


def _walked(name: str, value: Any, depth: int) -> Item:
    """Any JSON, with whatever is recognised inside its texts opened."""
    if depth > _MAX_DEPTH:
        return plain(name, value)
    if isinstance(value, dict):
        if value.get("type") == "public-key" and isinstance(value.get("response"), dict):
            kind, item = credential(value)
            return Item(name, meaning=kind, items=item.items)
        return Item(name, items=tuple(_walked(key, item, depth + 1) for key, item in value.items()))
    if isinstance(value, list):
        return Item(name, items=tuple(_walked(f"[{index}]", item, depth + 1) for index, item in enumerate(value)))
    found = (
        _recognise(value.encode(errors="replace"), depth + 4) if isinstance(value, str) and len(value) >= 32 else None
    )
    return plain(name, value) if found is None else Item(name, meaning=found[0], items=found[1])
