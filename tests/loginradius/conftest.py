"""A LoginRadius server in process, over ASGI, its clock standing still at noon; and a client that knows the published API only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.support.server import Operator, client_of, servers

KEY = "11111111-1111-4111-8111-111111111111"
SECRET = "22222222-2222-4222-8222-222222222222"
EMAIL = "alice@example.com"
PASSWORD = "Passw0rd!"
PHONE = "+447700900123"
R = "/identity/v2/auth/account/reauth"


@dataclass
class Client(Operator):
    """A site and its back end, as LoginRadius's pages describe them."""

    access: str = ""
    refresh: str = ""
    uid: str = ""
    mfa: str = ""

    # -- calls

    def call(self, method: str, path: str, body: Any = None, **query: str) -> httpx2.Response:
        """With the API key, and the access token as bearer where there is one."""
        headers = {"Authorization": f"Bearer {self.access}"} if self.access else {}
        content = body if isinstance(body, bytes) else None
        return self.http.request(
            method, f"/loginradius{path}", params={"apikey": KEY} | query, json=None if content is not None else body, content=content,
            headers=headers,
        )  # fmt: skip

    def get(self, path: str, **query: str) -> httpx2.Response:
        return self.call("GET", path, **query)

    def put(self, path: str, body: Any, **query: str) -> httpx2.Response:
        return self.call("PUT", path, body, **query)

    def post(self, path: str, body: Any, **query: str) -> httpx2.Response:
        return self.call("POST", path, body, **query)

    def ok(self, answer: httpx2.Response) -> dict[str, Any]:
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    # -- logins

    def login(self, password: str = PASSWORD) -> httpx2.Response:
        answer = self.post("/identity/v2/auth/login", {"email": EMAIL, "password": password})
        return self.keep(answer)

    def keep(self, answer: httpx2.Response) -> httpx2.Response:
        body = answer.json()
        if answer.status_code == 200 and body.get("Profile"):
            self.access, self.refresh, self.uid = body["access_token"], body["refresh_token"], body["Profile"]["Uid"]
        return answer

    def mfa_login(self) -> dict[str, Any]:
        """The first step; the token for the second is kept."""
        self.access = ""
        body = self.ok(self.post("/identity/v2/auth/login/2fa", {"email": EMAIL, "password": PASSWORD}))
        self.mfa = body["SecondFactorAuthentication"]["SecondFactorAuthenticationToken"]
        return body

    def second(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        """A call of the second step."""
        return self.call(method, f"/identity/v2/auth/login/2fa{path}", body, secondfactorauthenticationtoken=self.mfa)

    # -- the back end

    def validate(
        self, token: str, family: str = "2fa", *, uid: str = "", member: str = "secondfactorvalidationtoken"
    ) -> httpx2.Response:
        return self.post(
            f"/identity/v2/manage/account/{uid or self.uid}/reauth/{family}", {member: token}, apisecret=SECRET
        )

    # -- the operator

    def code(self, channel: str) -> str:
        """The code of the newest message."""
        code: str = self.messages(channel)[-1]["code"]
        return code

    def put_user(self, **changes: Any) -> None:
        uid = self.uid or next(u["id"] for u in self.stub("GET", "/users") if u["dialect"] == "loginradius")
        self.stub("PUT", "/users", {"dialect": "loginradius", "id": uid, **changes})


def code_of(answer: httpx2.Response) -> tuple[int, int]:
    """HTTP status and ErrorCode, the body having the published shape."""
    body = answer.json()
    assert {"Description", "ErrorCode", "Message", "IsProviderError", "ProviderErrorResponse"} <= set(body), body
    return answer.status_code, body["ErrorCode"]


@pytest.fixture
def make_client() -> Iterator[Callable[..., Client]]:
    """Clients of servers with settings of one's own."""
    with servers() as new:

        def make(**settings: Any) -> Client:
            client = Client(client_of(new(dialects=("loginradius",), **settings)))
            client.stand_still()
            return client

        yield make


@pytest.fixture
def stranger(make_client: Callable[..., Client]) -> Client:
    """A client that is not logged in."""
    return make_client()


@pytest.fixture
def site(stranger: Client) -> Client:
    """A client whose customer is logged in with the password."""
    assert stranger.login().status_code == 200
    return stranger
