"""Every LoginRadius route against the server's own OpenAPI document: no 5xx, no undocumented answer; and each succeeds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pyotp
import pytest
import schemathesis
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from device_keys.entropy import SeededEntropy
from server_stub.app import create_app
from server_stub.dialects.loginradius.challenges import send_code
from server_stub.dialects.loginradius.constants import LOGINRADIUS
from server_stub.dialects.loginradius.dialect import DIALECT
from server_stub.dialects.loginradius.methods import backup_digest
from server_stub.dialects.loginradius.people import demo_users
from server_stub.dialects.loginradius.push import REGISTRATION, push_login
from server_stub.dialects.loginradius.sessions import issue_tokens, mfa_token_answer, new_token, open_login
from server_stub.dialects.loginradius.stepup import VALIDATION
from server_stub.http import Call, Endpoint
from server_stub.passwords import hash_secret
from server_stub.server import Server
from tests.support.server import servers

CHECKS = (
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance,
)  # fmt: skip
OTP = "123456"
EMAIL = "alice@example.com"
QUESTION = "5f1c0e6a2b7d4e9fa3c8d1b06e7f4a21"
SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
CALL = Call("GET", "/", {}, {}, {"host": "127.0.0.1:9"}, b"")


class Desk:
    """Puts everything in place that a call may need, anew for each call, so that right calls succeed and locks do not pile up."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.key = rsa.generate_private_key(65537, 2048)
        entropy = SeededEntropy("answers")
        self.answer = hash_secret("rex", entropy)
        self.numbers = itertools.count()

    @property
    def public_key(self) -> str:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        text: str = self.key.public_key().public_bytes(serialization.Encoding.DER, form).hex()
        return text

    def lay_out(self, endpoint: Endpoint) -> tuple[dict[str, str], dict[str, str], Any]:
        """Headers and query of a right call, and its body."""
        with self.server.store.begin() as unit:
            (user,) = demo_users()
            push = {"publicKey": self.public_key, "deviceToken": "push-1", "name": "Pixel", "type": "android"}
            user.document |= {"totp": SEED, "totpPending": SEED, "questions": {QUESTION: self.answer}, "push": push}
            user.document["backupCodes"] = (
                {} if endpoint.path.endswith("/backupcode") else {backup_digest(user, "aaaaa-bbbbb"): False}
            )
            unit.put_user(user)
            session = open_login(unit, CALL, user, password=True)
            pair = issue_tokens(unit, session)
            for channel, purpose in (("sms", "stepup"), ("sms", "login"), ("sms", "setup"), ("email", "stepup")):
                send_code(self.server, unit, session, channel, purpose, "+447700900123" if channel == "sms" else EMAIL)  # type: ignore[arg-type]
            for purpose in ("stepup-mail", "login", "setup"):
                send_code(self.server, unit, session, "email", purpose, EMAIL)  # type: ignore[arg-type]
            mfa = mfa_token_answer(unit, session)["SecondFactorAuthenticationToken"]
            transaction = push_login(unit, CALL, session, user, mfa)
            if endpoint.path.endswith("/ping") or "{uid}" in endpoint.path:  # asked of a step-up that was verified
                transaction.state = "VERIFIED"
                unit.put_transaction(transaction)
            family = endpoint.path.rpartition("/")[2]
            life = LOGINRADIUS.validation_life
            validation = new_token(unit, session, VALIDATION, life, family=family, transaction=transaction.id)
            user = unit.user("loginradius", user.id) or user
            user.document |= {"sent-sms": [], "sent-email": []}
            unit.put_user(user)
            query = {
                "apikey": LOGINRADIUS.api_key, "apisecret": LOGINRADIUS.api_secret, "secondfactorauthenticationtoken": mfa,
                "token": new_token(unit, session, REGISTRATION, life), "pinauthtoken": new_token(unit, session, "pin-auth", life),
                "refresh_token": pair["refresh_token"], "uid": user.id, "emailid": EMAIL,
            }  # fmt: skip
            code = pyotp.TOTP(SEED).at(unit.now)
        signature = self.key.sign(f"Yes{mfa}".encode(), padding.PKCS1v15(), hashes.SHA256()).hex()
        body = {
            "email": EMAIL, "password": "Passw0rd!", "otp": OTP, "emailid": EMAIL, "authenticatorcode": code,
            "googleauthenticatorcode": code, "backupcode": "aaaaa-bbbbb", "pin": "1234", "oldpin": "1234", "newpin": "4321",
            "securityquestionanswer": [{"QuestionId": QUESTION, "Answer": "Rex"}], "phoneno2fa": "+447700900123",
            "secondfactorvalidationtoken": validation, "authenticator": True, "verify": "Yes", "signature": signature,
            "deviceName": "Pixel", "deviceType": "android", "publicKey": self.public_key, "deviceToken": "push-2",
        }  # fmt: skip
        return {"Authorization": f"Bearer {pair['access_token']}"}, query, body


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """A seeded server with one code for all purposes."""
    with servers() as new:
        yield Desk(new(dialects=("loginradius",), seed="schemathesis", fixed_otp=OTP))


@pytest.fixture(scope="module")
def document(desk: Desk) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", create_app(desk.server))


def complete(case: Any, desk: Desk, endpoint: Endpoint, *, right: bool) -> None:
    """Give a generated call the credentials without which it would end at the first check; every fifth goes without."""
    headers, query, body = desk.lay_out(endpoint)
    if not right and next(desk.numbers) % 5 == 0:
        return
    case.headers.update(headers)
    named = {parameter["name"] for parameter in endpoint.operation["parameters"]}
    wanted = {
        name for name in named if right or name in ("apikey", "apisecret", "secondfactorauthenticationtoken", "token")
    }
    if endpoint.path.endswith("/login/2fa") and endpoint.method == "POST":
        wanted.discard("secondfactorauthenticationtoken")
        case.query.pop("secondfactorauthenticationtoken", None)
    case.query.update({name: query[name] for name in wanted})
    if "{uid}" in endpoint.path:
        case.path_parameters["uid"] = query["uid"]
    if right and "requestBody" in endpoint.operation:
        case.body = body


@pytest.mark.parametrize("endpoint", DIALECT.endpoints, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_loginradius_routes_answer_as_documented(endpoint: Endpoint, document: Any, desk: Desk) -> None:
    """Issue 6, done when 4: a bounded number of generated calls, valid and not, the same on every run; and the right call succeeds."""
    operation = document[f"/loginradius{endpoint.path}"][endpoint.method]
    answers: list[int] = []

    def run(mode: GenerationMode, examples: int, *, right: bool) -> None:
        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=examples,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def call(case: Any) -> None:
            complete(case, desk, endpoint, right=right)
            answers.append(case.call_and_validate(checks=CHECKS).status_code)

        call()

    run(GenerationMode.POSITIVE, 1, right=True)
    assert answers == [200]
    run(GenerationMode.POSITIVE, 4, right=False)
    run(GenerationMode.NEGATIVE, 4, right=False)
    assert len(answers) >= 3
