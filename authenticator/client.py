"""HTTP to one server: the only place where the phone speaks to anyone.

Every call is synchronous over an injected `httpx2.Client`, so that the command line, the terminal UI, the control API and in-process tests
share one path. What cannot be reached or read is an error of its own; a refusal is an `Answer` like any other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from authenticator.errors import Refused, Unreachable, Unreadable, UsageError
from device_keys.encoding import FormatError, parse_json

if TYPE_CHECKING:
    import ssl

    import httpx2

TIMEOUT_SECONDS: Final = 30.0
# The login route of each dialect that enrols by WebAuthn, without the dialect's own first segment.
LOGIN_ROUTES: Final = {
    "bank": ("/bank/v1/oauth2/login", "/v1/oauth2/login"),
    "weavr": ("/weavr/multi/login_with_password", "/multi/login_with_password"),
}
API_KEY_HEADERS: Final = {"bank": "X-APIKEY", "weavr": "api-key"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; `body` is the parsed JSON, or `None` where there was none."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def object(self) -> dict[str, Any]:
        """The body, which must be a JSON object."""
        if not isinstance(self.body, dict):
            raise Unreadable("unreadable_answer", "The server's answer is not a JSON object.")
        return self.body


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request, as it is sent or printed. `path` may carry a query."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any = None


Observer = Callable[[Call, Answer], None]


class ServerClient:
    """The server at `url`. `token` opens its test routes where it is not on loopback; `observe` sees each exchange."""

    def __init__(
        self,
        url: str,
        http: httpx2.Client,
        *,
        token: str | None = None,
        hear_date: Callable[[str | None], None] = lambda date: None,
        observe: Observer = lambda call, answer: None,
    ) -> None:
        self.url = url
        self._http = http
        self._token = token
        self._hear_date = hear_date
        self.observe = observe

    def close(self) -> None:
        self._http.close()

    def send(self, call: Call) -> Answer:
        """The server's answer, whatever its status; `Unreachable` where there is none."""
        import httpx2

        try:
            response = self._http.request(call.method, self.url + call.path, headers=call.headers, json=call.body)
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise Unreachable(
                "unreachable", f"No server answers at {self.url} ({reason}). Start one with: stepup-server serve"
            ) from error
        self._hear_date(response.headers.get("Date"))
        answer = Answer(response.status_code, response.headers, _body(response.content))
        self.observe(call, answer)
        return answer

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        return self.send(Call(method, path, headers or {}, body))

    def demand(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """The body of a successful answer; any other is `Refused` with the server's own code and message."""
        answer = self.call(method, path, body, headers)
        if not answer.ok:
            raise refusal(answer)
        return answer.body

    def stub(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the test routes `/_stub`."""
        return self.demand(method, f"/_stub/{path}", body, self.guard())

    def guard(self) -> dict[str, str]:
        """What opens routes that are for tests only."""
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def login_path(self, dialect: str) -> str:
        """Where this server mounts the dialect's login; `UsageError` where it does not serve the dialect."""
        document = self.demand("GET", "/openapi.json")
        paths = document.get("paths", {}) if isinstance(document, dict) else {}
        for path in LOGIN_ROUTES[dialect]:
            if path in paths:
                return path
        raise UsageError(f"The server at {self.url} does not serve the dialect {dialect}.", field="--dialect")


def refusal(answer: Answer) -> Refused:
    """The server's refusal as an error: its code and message where it gives any, else the status."""
    body = answer.body if isinstance(answer.body, dict) else {}
    if isinstance(body.get("error"), dict):
        body = body["error"]
    code = body.get("code") or body.get("errorCode") or body.get("ErrorCode") or f"http_{answer.status}"
    message = body.get("message") or body.get("Message") or body.get("errorCode") or "no reason given"
    return Refused(str(code), f"The server refused with {answer.status}: {message}")


def _body(content: bytes) -> Any:
    if not content.strip():
        return None
    try:
        return parse_json(content, "answer")
    except FormatError as error:
        raise Unreadable("unreadable_answer", f"The server's answer cannot be read: {error}") from error


def server_url(text: str) -> str:
    """The URL without a trailing slash; `UsageError` for what is not an http(s) address."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment:
        raise UsageError("--server: expected a URL such as http://127.0.0.1:8080", field="--server")
    return text.rstrip("/")


def open_http(url: str) -> httpx2.Client:
    """A client for `url`; proxies of the environment are ignored, since the server is this machine's or the team's."""
    import httpx2

    verify: ssl.SSLContext | bool = tls_context() if url.startswith("https:") else False
    return httpx2.Client(verify=verify, timeout=TIMEOUT_SECONDS, trust_env=False)


def tls_context() -> ssl.SSLContext:
    """The usual trust, `SSL_CERT_FILE` included, and the local test CA of `stepup-server serve --tls`, if it is made."""
    import ssl

    from device_keys.local_ca import ca_certificate

    context = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or None)
    if ca_certificate().is_file():
        context.load_verify_locations(ca_certificate())
    return context
