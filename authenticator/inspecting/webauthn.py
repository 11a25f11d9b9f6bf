"""WebAuthn and App Attest structures in words: client data, authenticator data, attestation objects, responses as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, Final

from authenticator.inspecting.certificates import algorithm_words, chain
from authenticator.inspecting.receipts import receipt
from authenticator.inspecting.tree import Item, attempt, plain, unread
from device_keys.attestation import android_key, app_attest, apple
from device_keys.attestation.certificates import certificate_key, extension_value, load_certificate
from device_keys.encoding import FormatError, b64url_decode, cbor_decode, cbor_decode_prefix
from device_keys.keys import PublicKey, cose_key
from device_keys.messages import Flags

# Each bit, and what it says when set and when clear (WebAuthn L3 section 6.1).
_FLAGS: Final = (
    (Flags.UP, "userPresent", "a presence test was done", "no presence test"),
    (Flags.RFU1, "reserved1", "reserved: must be clear", ""),
    (Flags.UV, "userVerified", "the user was verified; not said by what", "the user was not verified"),
    (Flags.BE, "backupEligible", "the key may be synchronised to other devices", "bound to one device"),
    (Flags.BS, "backedUp", "the key is backed up now", ""),
    (Flags.RFU2, "reserved2", "reserved: must be clear", ""),
    (Flags.AT, "attestedData", "a key is included", ""),
    (Flags.ED, "extensionData", "an extension map is included", ""),
)
_TYPES: Final = {
    "webauthn.create": "a registration",
    "webauthn.get": "a login or other assertion",
    "payment.get": "a payment confirmation (SPC)",
}


# --- client data --------------------------------------------------------------------------------------------------------


def client_data(raw: bytes) -> Item:
    """Client data JSON; its hash is over these very bytes."""
    try:
        members = json.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as error:
        raise FormatError("clientDataJSON", "a JSON object") from error
    if not isinstance(members, dict):
        raise FormatError("clientDataJSON", "a JSON object")
    items = tuple(_client_member(name, value) for name, value in members.items())
    return Item(
        "clientDataJSON", items=(*items, Item("sha256", hashlib.sha256(raw).hexdigest(), "the client data hash"))
    )


def _client_member(name: str, value: Any) -> Item:
    if name == "type" and isinstance(value, str):
        return Item(name, value, _TYPES.get(value, "not a type of WebAuthn"))
    if name == "challenge" and isinstance(value, str):
        return attempt(name, value.encode(), lambda data: Item(name, value, f"{len(b64url_decode(value))} bytes"))
    return plain(name, value)


# --- authenticator data -------------------------------------------------------------------------------------------------


def authenticator_data(raw: bytes) -> Item:
    """Authenticator data, of WebAuthn or Apple's: what is there is read whatever the flags say, and what they say of it is shown."""
    if len(raw) < 37:
        raise FormatError("authenticatorData", "at least 37 bytes")
    flags = Flags(raw[32])
    named = tuple(Item(name, bool(flags & bit), set_ if flags & bit else clear) for bit, name, set_, clear in _FLAGS)
    items = [
        Item("rpIdHash", raw[:32].hex(), "SHA-256 of the RP ID, or of TEAMID.bundleid"),
        Item("flags", f"0x{raw[32]:02x}", items=named),
        Item("signCount", int.from_bytes(raw[33:37], "big")),
    ]
    rest = raw[37:]
    if flags & Flags.AT and rest and (rest[0] >> 5 != 5 or flags & Flags.ED or len(rest) > 120):
        rest = _attested(rest, items)
    if rest:
        items.append(attempt("extensions", rest, _extension_map))
    return Item("authenticatorData", items=tuple(items))


def _attested(rest: bytes, items: list[Item]) -> bytes:
    """Append the attested credential's items; the bytes after it."""
    size = int.from_bytes(rest[16:18], "big")
    items.append(Item("aaguid", rest[:16].hex(), _environment(rest[:16])))
    items.append(Item("credentialId", rest[18 : 18 + size].hex(), f"{size} bytes"))
    tail = rest[18 + size :]
    try:
        fields, after = cbor_decode_prefix(tail, "credentialPublicKey")
    except FormatError as error:
        items.append(unread("credentialPublicKey", tail, error))
        return b""
    items.append(cose(fields, tail[: len(tail) - len(after)]))
    return after


def _environment(aaguid: bytes) -> str:
    names = [name for name, value in app_attest.ENVIRONMENTS.items() if value == aaguid]
    return f"App Attest environment {names[0]}" if names else "" if any(aaguid) else "none given"


def cose(fields: Any, raw: bytes) -> Item:
    """A COSE key, with its digest if it is one that we know."""
    try:
        key = cose_key(fields)
    except FormatError as error:
        return Item("credentialPublicKey", raw.hex(), items=plain("", fields).items, problem=str(error))
    digests = [Item("spkiSha256", key.fingerprint())]
    if fields.get(1) == 2:
        digests.append(Item("pointSha256", app_attest.key_id(key).hex(), "App Attest's key id"))
    return Item("credentialPublicKey", raw.hex(), key.name, tuple(digests))


def _extension_map(rest: bytes) -> Item:
    fields, after = cbor_decode_prefix(rest, "extensions")
    if not isinstance(fields, dict):
        raise FormatError("extensions", "a map")
    items = [_extension(str(name), value) for name, value in fields.items()]
    if after:
        items.append(unread("trailingBytes", after, "nothing should follow"))
    return Item("extensions", items=tuple(items))


def _extension(name: str, value: Any) -> Item:
    if name == app_attest.VALIDATION_CATEGORY and isinstance(value, bytes):
        number = int.from_bytes(value, "little")
        names = app_attest.CATEGORY_NAMES
        return Item(
            name, value.hex(), names[number] if len(value) == 4 and number < len(names) else "not a known category"
        )
    if name == "uvm":
        return Item(
            name, items=plain("", value).items, meaning="how the user was verified: a claim of the phone's software"
        )
    return plain(name, value)


# --- attestation objects ------------------------------------------------------------------------------------------------

_FORMATS: Final = {
    "none": "says nothing of the key",
    "packed": "FIDO's own format",
    "android-key": "Android key attestation",
    "apple": "Apple anonymous attestation",
    app_attest.FORMAT: "Apple App Attest",
    "fido-u2f": "an older security key",
    "tpm": "a TPM",
    "android-safetynet": "deprecated",
    "compound": "several statements",
}


def attestation_object(fields: Any, client_data_hash: bytes | None = None) -> Item:
    """A decoded attestation object; with the client data hash also what holds together. Raises FormatError for anything else."""
    if not isinstance(fields, dict) or not {"fmt", "attStmt", "authData"} <= set(fields):
        raise FormatError("attestationObject", "a map of fmt, attStmt and authData")
    raw, statement, fmt = fields["authData"], fields["attStmt"], fields["fmt"]
    items = [Item("fmt", str(fmt), _FORMATS.get(str(fmt), "not a registered format")), _statement(statement)]
    items.append(attempt("authData", raw, authenticator_data) if isinstance(raw, bytes) else plain("authData", raw))
    items += [plain(str(name), value) for name, value in fields.items() if name not in ("fmt", "attStmt", "authData")]
    if isinstance(raw, bytes) and isinstance(statement, dict):
        items += _coherence(str(fmt), statement, raw, client_data_hash)
    return Item("attestationObject", items=tuple(items))


def _statement(statement: Any) -> Item:
    if not isinstance(statement, dict):
        return plain("attStmt", statement)
    items = []
    for name, value in statement.items():
        if name == "x5c" and isinstance(value, list) and all(isinstance(item, bytes) for item in value):
            items.append(chain(tuple(value)))
        elif name == "receipt" and isinstance(value, bytes):
            items.append(attempt("receipt", value, receipt))
        elif name == "alg" and isinstance(value, int):
            items.append(Item("alg", value, algorithm_words(value)))
        else:
            items.append(plain(str(name), value))
    return Item("attStmt", items=tuple(items), meaning="" if items else "empty")


def _coherence(fmt: str, statement: dict[str, Any], auth_data: bytes, client_data_hash: bytes | None) -> list[Item]:
    """What fits together inside the object: no word on trust, which needs roots, dates and a revocation list."""
    observed: list[Item] = []
    try:
        leaf = load_certificate(statement["x5c"][0]) if statement.get("x5c") else None
        attested = cose_key(_credential_fields(auth_data))
        certified = certificate_key(leaf) if leaf is not None else attested
        if leaf is not None and fmt != "packed":
            observed.append(Item("certified key is the credential key", certified.spki() == attested.spki()))
        if client_data_hash is not None:
            observed += _over_client_data(
                fmt, statement, auth_data + client_data_hash, certified, client_data_hash, leaf
            )
    except (FormatError, KeyError, IndexError, TypeError, ValueError):
        return observed
    return (
        [Item("coherence", items=tuple(observed), meaning="not a judgement: no trust anchor is consulted")]
        if observed
        else []
    )


def _credential_fields(auth_data: bytes) -> Any:
    size = int.from_bytes(auth_data[53:55], "big")
    return cbor_decode_prefix(auth_data[55 + size :])[0]


def _over_client_data(
    fmt: str, statement: dict[str, Any], signed: bytes, key: PublicKey, client_data_hash: bytes, leaf: Any
) -> list[Item]:
    observed = []
    if isinstance(statement.get("sig"), bytes):
        observed.append(Item("statement signature verifies", key.verify(statement["sig"], signed)))
    description = extension_value(leaf, android_key.KEY_DESCRIPTION_OID) if leaf is not None else None
    if description is not None:
        parsed = android_key.parse_key_description(description)
        observed.append(
            Item("attested challenge is the client data hash", parsed.attestation_challenge == client_data_hash)
        )
    nonce = extension_value(leaf, apple.NONCE_OID) if leaf is not None else None
    if nonce is not None:
        fits = apple.parse_nonce_extension(nonce) == hashlib.sha256(signed).digest()
        observed.append(Item("certified nonce is over this data", fits))
    return observed


def app_assertion(fields: Any) -> Item:
    """A decoded App Attest assertion. Raises FormatError for anything else."""
    if not isinstance(fields, dict) or set(fields) != {"signature", "authenticatorData"}:
        raise FormatError("assertion", "a map of signature and authenticatorData")
    raw = fields["authenticatorData"]
    data = (
        attempt("authenticatorData", raw, authenticator_data)
        if isinstance(raw, bytes)
        else plain("authenticatorData", raw)
    )
    return Item("assertion", items=(plain("signature", fields["signature"]), data))


# --- responses as JSON --------------------------------------------------------------------------------------------------


def credential(record: dict[str, Any]) -> tuple[str, Item]:
    """What a PublicKeyCredential's JSON is, and everything in it."""
    response = record.get("response")
    if not isinstance(response, dict):
        raise FormatError("response", "an object")
    known = _registered if "attestationObject" in response else _asserted
    kind = "WebAuthn registration" if known is _registered else "WebAuthn assertion"
    outside = tuple(
        plain(name, value) for name, value in record.items() if name not in ("response", "clientExtensionResults")
    )
    results = _extension_results(record.get("clientExtensionResults"))
    return kind, Item("credential", items=(*outside, Item("response", items=known(response)), results))


def _registered(response: dict[str, Any]) -> tuple[Item, ...]:
    hashed = _client_data_hash(response)
    readers: dict[str, Callable[[bytes], Item]] = {
        "clientDataJSON": client_data,
        "attestationObject": lambda data: attestation_object(cbor_decode(data, "attestationObject"), hashed),
        "authenticatorData": lambda data: Item("", data.hex(), "repeated from the attestation object"),
        "publicKey": lambda data: Item("", data.hex(), "SubjectPublicKeyInfo, repeated from the attestation object"),
    }
    return _response(response, readers)


def _asserted(response: dict[str, Any]) -> tuple[Item, ...]:
    readers = {
        "clientDataJSON": client_data,
        "authenticatorData": authenticator_data,
        "signature": lambda data: Item(
            "", data.hex(), "over authenticatorData ‖ SHA-256(clientDataJSON), by the registered key"
        ),
        "userHandle": lambda data: Item("", data.hex()),
    }
    return _response(response, readers)


def _response(response: dict[str, Any], readers: dict[str, Callable[[bytes], Item]]) -> tuple[Item, ...]:
    items = []
    for name, value in response.items():
        if name not in readers or not isinstance(value, str):
            items.append(plain(name, value))
            continue
        try:
            items.append(attempt(name, b64url_decode(value, name), readers[name]))
        except FormatError as error:
            items.append(Item(name, value, problem=str(error)))
    return tuple(items)


def _client_data_hash(response: dict[str, Any]) -> bytes | None:
    try:
        return hashlib.sha256(b64url_decode(response.get("clientDataJSON"))).digest()
    except FormatError:
        return None


def _extension_results(results: Any) -> Item:
    if not isinstance(results, dict) or not isinstance(results.get("appAttest"), str):
        return plain("clientExtensionResults", results)
    others = tuple(plain(name, value) for name, value in results.items() if name != "appAttest")
    try:
        data = b64url_decode(results["appAttest"], "appAttest")
    except FormatError as error:
        return Item(
            "clientExtensionResults", items=(*others, Item("appAttest", results["appAttest"], problem=str(error)))
        )
    opened = attempt("appAttest", data, lambda raw: app_assertion(cbor_decode(raw, "appAttest")))
    return Item("clientExtensionResults", items=(*others, opened))
