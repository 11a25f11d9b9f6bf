"""The sealed store (issue 3, "The store"): whole or not at all, one writer, clear errors, useless without its secret."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from device_keys.keystore import (
    SECRET_FILE,
    DamagedStore,
    Keystore,
    KeystoreError,
    StoreBusy,
    WrongSecret,
    load_or_create_secret,
)
from tests.support.waiting import PATIENCE_SECONDS

SECRET = bytes(range(32))
DOCUMENT = {"keys": [{"private": "c2VjcmV0"}], "number": "+447700900123"}


@pytest.fixture
def store(tmp_path: Path) -> Keystore:
    return Keystore(tmp_path / "home" / "phone.store", SECRET)


def test_what_is_saved_is_loaded_and_an_absent_file_is_empty(store: Keystore) -> None:
    assert store.load() == {}
    store.save(DOCUMENT)
    assert Keystore(store.path, SECRET).load() == DOCUMENT


def test_the_file_is_private_and_shows_nothing_of_its_content(store: Keystore) -> None:
    store.save(DOCUMENT)
    data = store.path.read_bytes()
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    for text in (b"private", b"c2VjcmV0", b"+447700900123", SECRET):
        assert text not in data
    assert SECRET.hex() not in repr(store)


def test_two_saves_of_the_same_document_differ(store: Keystore) -> None:
    store.save(DOCUMENT)
    first = store.path.read_bytes()
    store.save(DOCUMENT)
    assert store.path.read_bytes() != first


def test_another_secret_is_told_apart_from_damage(store: Keystore) -> None:
    store.save(DOCUMENT)
    with pytest.raises(WrongSecret, match="does not open with this machine's secret"):
        Keystore(store.path, bytes(32)).load()


def test_every_single_altered_byte_is_noticed(store: Keystore) -> None:
    store.save({"a": 1})
    good = store.path.read_bytes()
    for position in range(len(good)):
        altered = bytearray(good)
        altered[position] ^= 1
        store.path.write_bytes(bytes(altered))
        with pytest.raises(DamagedStore):
            store.load()


def test_every_truncation_is_noticed(store: Keystore) -> None:
    store.save({"a": 1})
    good = store.path.read_bytes()
    for size in range(len(good)):
        store.path.write_bytes(good[:size])
        with pytest.raises(DamagedStore):
            store.load()


def test_alteration_with_a_corrected_checksum_still_fails_the_seal(store: Keystore) -> None:
    import hashlib

    store.save(DOCUMENT)
    good = store.path.read_bytes()
    for position in (12, 30, 60, len(good) - 40):  # salt, nonce, sealed text, its tag
        body = bytearray(good[:-32])
        body[position] ^= 1
        store.path.write_bytes(bytes(body) + hashlib.sha256(body).digest())
        with pytest.raises(KeystoreError):
            Keystore(store.path, SECRET).load()


def test_a_document_of_an_older_format_is_migrated_and_saved_in_the_new_one(store: Keystore) -> None:
    """A made-up step from version 1 to 2: `number` becomes `numbers`."""
    Keystore(store.path, SECRET, version=1).save({"number": "1"})
    newer = Keystore(store.path, SECRET, version=2, migrations={1: lambda old: {"numbers": [old["number"]]}})
    assert newer.load() == {"numbers": ["1"]}
    newer.save(newer.load())
    assert Keystore(store.path, SECRET, version=2).load() == {"numbers": ["1"]}


def test_a_document_of_a_newer_or_forgotten_format_is_refused_with_its_number(store: Keystore) -> None:
    Keystore(store.path, SECRET, version=2).save({})
    with pytest.raises(KeystoreError, match=r"newer version.*format 2"):
        store.load()
    with pytest.raises(KeystoreError, match="format 2"):
        Keystore(store.path, SECRET, version=3).load()


def test_a_short_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="32 random bytes"):
        Keystore(tmp_path / "s", b"1234")


def test_an_unreadable_path_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(KeystoreError, match="cannot read"):
        Keystore(tmp_path / "folder", SECRET).load()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(KeystoreError, match="cannot lock"):
        Keystore(tmp_path / "file" / "store", SECRET).save({})


# --- two processes --------------------------------------------------------------------------------------------------------

HOLDER = """
import sys
from pathlib import Path
from device_keys.keystore import Keystore
with Keystore(Path(sys.argv[1]), bytes(range(32))).locked():
    print("held", flush=True)
    sys.stdin.readline()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_while_the_first_holds_the_store(store: Keystore) -> None:
    with hold(store.path) as holder:
        impatient = Keystore(store.path, SECRET, lock_wait=0.0)
        with pytest.raises(StoreBusy, match="another process"):
            impatient.save(DOCUMENT)
        assert impatient.load() == {}, "reading needs no lock: the file is always whole"
        holder.communicate("\n", timeout=PATIENCE_SECONDS)
    impatient.save(DOCUMENT)


def test_a_second_process_waits_for_the_first(store: Keystore) -> None:
    with hold(store.path) as holder:
        release = threading.Timer(0.05, lambda: holder.communicate("\n"))
        release.start()
        store.save(DOCUMENT)
        release.join()
    assert store.load() == DOCUMENT


def test_a_killed_process_leaves_no_lock(store: Keystore) -> None:
    with hold(store.path) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.communicate(timeout=PATIENCE_SECONDS)
    Keystore(store.path, SECRET, lock_wait=0.0).save(DOCUMENT)


def test_the_lock_may_be_nested_and_is_free_after_an_error(store: Keystore) -> None:
    with store.locked(), store.locked():
        store.save({"inside": True})
    with pytest.raises(ZeroDivisionError), store.locked(), store.locked():
        raise ZeroDivisionError
    Keystore(store.path, SECRET, lock_wait=0.0).save(DOCUMENT)


def test_the_lock_excludes_the_next_time_too(store: Keystore) -> None:
    """Held, let go and held again: each time another process waits in vain."""
    for _ in range(3):
        with store.locked(), store.locked():
            pass
        with store.locked(), pytest.raises(StoreBusy), Keystore(store.path, SECRET, lock_wait=0.0).locked():
            pass
        Keystore(store.path, SECRET, lock_wait=0.0).save(DOCUMENT)


def test_threads_of_one_phone_take_turns(store: Keystore) -> None:
    store.save({"count": 0})

    def add() -> None:
        for _ in range(20):
            with store.locked():
                document = store.load()
                store.save({"count": document["count"] + 1})

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.load() == {"count": 80}


WRITER = """
import sys
from pathlib import Path
from device_keys.keystore import Keystore
store = Keystore(Path(sys.argv[1]), bytes(range(32)))
number = 0
print("ready", flush=True)
while True:
    number += 1
    store.save({"number": number, "filler": "x" * 50_000})
"""


def test_a_kill_at_any_moment_leaves_a_whole_store(store: Keystore) -> None:
    last = 0
    for round_ in range(6):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(store.path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        before = store.path.stat().st_mtime_ns if store.path.exists() else 0
        while not store.path.exists() or store.path.stat().st_mtime_ns == before:
            assert process.poll() is None, (
                "the writer ended by itself"
            )  # until it writes; the kill then lands wherever it is
        process.kill()
        process.wait()
        process.stdout.close()
        last = store.load()["number"]
        assert last >= 1, f"round {round_}"
    store.save({"number": last})
    assert store.load() == {"number": last}


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_before_the_replacement_keeps_the_old_document(
    store: Keystore, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    store.save({"old": True})

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if step == "fsync" else Path, step, fail)
    with pytest.raises(KeystoreError, match="No space left"):
        store.save({"new": True})
    monkeypatch.undo()
    assert store.load() == {"old": True}
    store.save({"new": True})
    assert store.load() == {"new": True}, "the half-written file does not stand in the way"


# --- the secret -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEPUP_PHONE_SECRET", raising=False)


@pytest.mark.usefixtures("no_variable")
def test_the_secret_is_made_once_private_and_apart_from_the_store(tmp_path: Path) -> None:
    config = tmp_path / "config" / "stepup"
    secret = load_or_create_secret(config)
    assert len(secret) == 32
    assert load_or_create_secret(config) == secret
    assert stat.S_IMODE((config / SECRET_FILE).stat().st_mode) == 0o600
    assert os.listdir(config) == [SECRET_FILE]
    assert load_or_create_secret(tmp_path / "another machine") != secret


@pytest.mark.usefixtures("no_variable")
def test_the_secret_may_lie_in_a_folder_that_is_there_and_new_folders_are_private(tmp_path: Path) -> None:
    assert len(load_or_create_secret(tmp_path)) == 32
    load_or_create_secret(tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


@pytest.mark.usefixtures("no_variable")
def test_a_copy_of_the_store_does_not_open_on_another_machine(tmp_path: Path) -> None:
    here, there = (load_or_create_secret(tmp_path / name) for name in ("here", "there"))
    Keystore(tmp_path / "store", here).save(DOCUMENT)
    with pytest.raises(WrongSecret):
        Keystore(tmp_path / "store", there).load()


@pytest.mark.usefixtures("no_variable")
def test_a_damaged_secret_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / SECRET_FILE).write_bytes(b"short")
    with pytest.raises(KeystoreError, match="not a secret of 32 bytes"):
        load_or_create_secret(tmp_path)
    with pytest.raises(KeystoreError, match="cannot read or make"):
        load_or_create_secret(tmp_path / SECRET_FILE / "below a file")


def test_the_secret_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPUP_PHONE_SECRET", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")
    assert load_or_create_secret(tmp_path) == SECRET
    monkeypatch.setenv("STEPUP_PHONE_SECRET", "a passphrase")
    stretched = load_or_create_secret(tmp_path)
    assert len(stretched) == 32
    assert load_or_create_secret(tmp_path) == stretched
    assert not list(tmp_path.iterdir()), "nothing is written"


@pytest.mark.skipif(os.name != "posix", reason="folders are opened on POSIX systems alone")
def test_the_new_name_is_on_the_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is renamed is lost with the power unless its folder is written as well."""
    from device_keys.keystore import _sync_folder

    synced: list[int] = []
    genuine = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: (synced.append(os.fstat(descriptor).st_mode), genuine(descriptor))
    )
    _sync_folder(tmp_path)
    assert [stat.S_ISDIR(mode) for mode in synced] == [True]
