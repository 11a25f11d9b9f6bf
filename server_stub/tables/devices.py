"""Phones: enrolled, being enrolled, and the keys that they hold."""

from __future__ import annotations

from typing import Final

import msgspec

from device_keys.clock import rfc3339, stored_instant
from server_stub.database.protocol import Row
from server_stub.evidence import CredentialFacts, encode
from server_stub.records import Device, Enrolment, token_digest
from server_stub.tables.columns import json_text
from server_stub.tables.unit import Unit

_CREDENTIAL: Final = msgspec.json.Decoder(CredentialFacts)


class Devices(Unit):
    """Devices, credentials and enrolments."""

    def device(self, device_id: str) -> Device | None:
        row = self.sql.one("get_device", id=device_id)
        return _device(row) if row else None

    def device_by_token(self, token: str) -> Device | None:
        row = self.sql.one("find_device", digest=token_digest(token))
        return _device(row) if row else None

    def devices(self, dialect: str, user: str) -> list[Device]:
        return [_device(row) for row in self.sql.all("devices_of_user", dialect=dialect, user=user)]

    def put_device(self, device: Device) -> None:
        self.sql.run(
            "put_device", id=device.id, dialect=device.dialect, user=device.user, token_digest=device.token_digest, state=device.state,
            enrolled_at=rfc3339(device.enrolled_at), state_since=rfc3339(device.state_since), document=json_text(device.document),
        )  # fmt: skip

    def credential(self, credential_id: str) -> CredentialFacts | None:
        """The enrolled key with this id (base64url), whoever's it is."""
        row = self.sql.one("get_credential", id=credential_id)
        return _credential(row) if row else None

    def credentials_of_device(self, device_id: str) -> list[CredentialFacts]:
        return [_credential(row) for row in self.sql.all("credentials_of_device", device=device_id)]

    def credentials_by_key(self, fingerprint: str) -> list[CredentialFacts]:
        return [_credential(row) for row in self.sql.all("credentials_by_key", fingerprint=fingerprint)]

    def add_credential(self, facts: CredentialFacts, fingerprint: str) -> None:
        """A newly enrolled key. One that the same phone enrolled before takes its place, and is kept for the verdicts of then."""
        for statement in ("keep_former_credential", "remove_counters", "remove_credential"):
            self.sql.run(statement, id=facts.credential_id)
        app_key = facts.app_attest["keyId"] if facts.app_attest is not None else None
        self.sql.run(
            "insert_credential",
            id=facts.credential_id,
            fingerprint=fingerprint,
            device=facts.device_id,
            dialect=facts.dialect,
            user=facts.user,
            factor=facts.factor,
            facts=encode(facts).decode(),
            app_key=app_key,
        )
        self.sql.run(
            "insert_counters",
            id=facts.credential_id,
            sign_count=facts.sign_count,
            app_attest_count=facts.app_attest_count,
        )
        if app_key is not None and not self._accompanies_others(app_key, facts):
            self.sql.run("start_app_counter", app_key=app_key)

    def _accompanies_others(self, app_key: str, facts: CredentialFacts) -> bool:
        """Whether credentials of another user have this App Attest key: its counter then goes on."""
        row = self.sql.one("others_with_app_key", app_key=app_key, dialect=facts.dialect, user=facts.user)
        return bool(row and row[0])

    def put_credential(self, facts: CredentialFacts) -> None:
        self.sql.run("update_credential", id=facts.credential_id, facts=encode(facts).decode())

    def put_counters(self, credential_id: str, sign_count: int, app_attest_count: int) -> None:
        """The counts of an accepted assertion: the credential's own, and the last one of the App Attest key beside it."""
        self.sql.run("update_counters", id=credential_id, sign_count=sign_count, app_attest_count=app_attest_count)
        if app_attest_count:
            self.sql.run("raise_app_counter", id=credential_id, count=app_attest_count)

    def enrolment(self, enrolment_id: str) -> Enrolment | None:
        row = self.sql.one("get_enrolment", id=enrolment_id)
        if row is None:
            return None
        document = msgspec.json.decode(row[7])
        return Enrolment(
            row[0], row[1], row[2], row[3], stored_instant(row[5]), stored_instant(row[6]), document, row[4]
        )

    def put_enrolment(self, enrolment: Enrolment) -> None:
        self.sql.run(
            "put_enrolment", id=enrolment.id, dialect=enrolment.dialect, user=enrolment.user, session=enrolment.session,
            state=enrolment.state, created_at=rfc3339(enrolment.created_at), expires_at=rfc3339(enrolment.expires_at),
            document=json_text(enrolment.document),
        )  # fmt: skip


def _device(row: Row) -> Device:
    return Device(
        row[0],
        row[1],
        row[2],
        row[3],
        row[4],
        stored_instant(row[5]),
        stored_instant(row[6]),
        msgspec.json.decode(row[7]),
    )


def _credential(row: Row) -> CredentialFacts:
    """The counters have tables of their own, so that a step-up rewrites two numbers and not the registration."""
    return msgspec.structs.replace(
        _CREDENTIAL.decode(row[3]),
        sign_count=row[1],
        app_attest_count=row[2],
        app_attest_key_count=row[4],
        shared_key=bool(row[5]),
    )
