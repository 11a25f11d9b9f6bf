"""The sealed file that a phone keeps its state in.

Layout: magic, version, salt, nonce, sealed JSON (XChaCha20-Poly1305, the bytes before it authenticated too), SHA-256 of all that.
The checksum tells damage from a wrong secret; the seal tells deliberate alteration. Invariants: the file is replaced whole or not at all,
whatever is killed when; one process writes at a time; the secret never lies beside the file, and nothing in it confirms a guessed passcode.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from device_keys.encoding import FormatError, b64url_decode

SECRET_VARIABLE: Final = "STEPUP_PHONE_SECRET"  # noqa: S105 — the variable's name
SECRET_FILE: Final = "phone.secret"  # noqa: S105 — the file's name
VERSION: Final = 1
LOCK_WAIT_SECONDS: Final = 10.0

_MAGIC: Final = b"STEPUPKS"
_SALT, _NONCE, _TAG, _DIGEST = 16, 24, 16, 32
_HEADER: Final = len(_MAGIC) + 2 + _SALT + _NONCE
_POLL_SECONDS: Final = 0.02

Document = dict[str, Any]
Migration = Callable[[Document], Document]

# From which version of the document, how to the next one.
MIGRATIONS: Final[Mapping[int, Migration]] = {}


class KeystoreError(Exception):
    """The store cannot be used; the message says why and what to do."""


class WrongSecret(KeystoreError):
    """The file is whole, but sealed under another secret."""


class DamagedStore(KeystoreError):
    """The file is not one of ours, or was truncated or altered."""


class StoreBusy(KeystoreError):
    """Another process holds the store."""


class Keystore:
    """The sealed file at `path`. One object may be shared by threads; processes exclude each other by a lock file beside it."""

    def __init__(
        self,
        path: Path,
        secret: bytes,
        *,
        version: int = VERSION,
        migrations: Mapping[int, Migration] = MIGRATIONS,
        lock_wait: float = LOCK_WAIT_SECONDS,
    ) -> None:
        if len(secret) < 32:
            raise KeystoreError("the store's secret must be at least 32 random bytes")
        self.path = path
        self._secret = secret
        self._version, self._migrations = version, migrations
        self._lock_wait = lock_wait
        self._mutex = threading.RLock()
        self._depth = 0
        self._derived: dict[bytes, bytes] = {}

    def __repr__(self) -> str:
        return f"Keystore({str(self.path)!r})"

    def load(self) -> Document:
        """The document, migrated to this version; `{}` where there is no file yet. Raises WrongSecret or DamagedStore."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise KeystoreError(f"cannot read the phone's store {self.path}: {error.strerror}") from error
        version, document = self._unseal(data)
        return self._migrate(version, document)

    def save(self, document: Document) -> None:
        """The file holds `document`, durably; until then it holds what it held before."""
        with self.locked():
            try:
                _replace(self.path, self._seal(document))
            except OSError as error:
                raise KeystoreError(f"cannot write the phone's store {self.path}: {error.strerror}") from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the store against other processes: load, change, save. May be nested. Raises StoreBusy after the waiting time."""
        with self._mutex:
            if self._depth:
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
                return
            with _process_lock(self.path.with_name(self.path.name + ".lock"), self._lock_wait):
                self._depth = 1
                try:
                    yield
                finally:
                    self._depth = 0

    def _key(self, salt: bytes) -> bytes:
        """Argon2id at its least cost: stretching protects guessable secrets, and this one is 32 random bytes, so opening stays quick."""
        if salt not in self._derived:
            from nacl.pwhash import argon2id

            cost = (argon2id.OPSLIMIT_MIN, argon2id.MEMLIMIT_MIN)
            self._derived[salt] = argon2id.kdf(32, self._secret, salt, *cost)
        return self._derived[salt]

    def _seal(self, document: Document) -> bytes:
        from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt

        salt = next(iter(self._derived), None) or secrets.token_bytes(_SALT)
        nonce = secrets.token_bytes(_NONCE)
        header = _MAGIC + self._version.to_bytes(2, "big") + salt + nonce
        sealed = header + encrypt(json.dumps(document, separators=(",", ":")).encode(), header, nonce, self._key(salt))
        return sealed + hashlib.sha256(sealed).digest()

    def _unseal(self, data: bytes) -> tuple[int, Document]:
        from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as decrypt
        from nacl.exceptions import CryptoError

        body, digest = data[:-_DIGEST], data[-_DIGEST:]
        if not data.startswith(_MAGIC):
            raise DamagedStore(f"{self.path} is not a phone's store")
        if len(body) < _HEADER + _TAG or hashlib.sha256(body).digest() != digest:
            raise DamagedStore(
                f"{self.path} is truncated or altered; restore it from a copy, or delete it and enrol again"
            )
        header = body[:_HEADER]
        version = int.from_bytes(header[8:10], "big")
        if version > self._version:
            raise KeystoreError(f"{self.path} was written by a newer version of this program (format {version})")
        try:
            text = decrypt(body[_HEADER:], header, header[-_NONCE:], self._key(header[10 : 10 + _SALT]))
        except CryptoError:
            raise WrongSecret(
                f"{self.path} does not open with this machine's secret; set {SECRET_VARIABLE} to the one it was sealed under, "
                "or delete the store and enrol again"
            ) from None
        return version, json.loads(text)

    def _migrate(self, version: int, document: Document) -> Document:
        while version < self._version:
            step = self._migrations.get(version)
            if step is None:
                raise KeystoreError(f"{self.path} has format {version}, which this program no longer reads")
            document, version = step(document), version + 1
        return document


def load_or_create_secret(config_dir: Path) -> bytes:
    """The secret that seals this user's stores: the environment variable's, else that of a file in `config_dir`, made where absent."""
    text = os.environ.get(SECRET_VARIABLE)
    if text:
        return _secret_of_text(text)
    path = config_dir / SECRET_FILE
    try:
        if not path.exists():
            _create_secret(path)
        secret = path.read_bytes()
    except OSError as error:
        raise KeystoreError(f"cannot read or make the store's secret {path}: {error.strerror}") from error
    if len(secret) != 32:
        raise KeystoreError(
            f"{path} is not a secret of 32 bytes; delete it to start anew (stores sealed under it are lost)"
        )
    return secret


def _secret_of_text(text: str) -> bytes:
    """32 bytes in base64url are taken as they are; any other text may be guessable and is stretched at interactive cost."""
    try:
        secret = b64url_decode(text)
    except FormatError:
        secret = b""
    if len(secret) == 32:
        return secret
    from nacl.pwhash import argon2id

    salt = hashlib.sha256(b"stepup-simulator phone secret").digest()[:16]
    return argon2id.kdf(32, text.encode(), salt, argon2id.OPSLIMIT_INTERACTIVE, argon2id.MEMLIMIT_INTERACTIVE)


def _create_secret(path: Path) -> None:
    """Linked into place whole, so that of two processes both read the same one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    _write_private(temporary, secrets.token_bytes(32))
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)  # left by a process that was killed
    _write_private(temporary, data)
    temporary.replace(path)
    _sync_folder(path.parent)


def _write_private(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """The rename is on the disk too, where the system lets a folder be opened."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _process_lock(path: Path, wait: float) -> Iterator[None]:
    """The system releases it with its process, killed or not. Attempts are counted, not timed: a frozen clock ends too."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise KeystoreError(f"cannot lock the phone's store with {path}: {error.strerror}") from error
    try:
        for _ in range(int(wait / _POLL_SECONDS) + 1):
            if _try_lock(descriptor):
                break
            time.sleep(_POLL_SECONDS)
        else:
            raise StoreBusy(f"another process is using this phone (lock {path}); try again when it is done")
        yield
    finally:
        os.close(descriptor)


if os.name == "nt":  # pragma: no cover
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
