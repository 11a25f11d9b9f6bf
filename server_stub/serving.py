"""Running the server: from the options of `serve` to a listening process."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from device_keys.clock import parse_clock, rfc3339
from device_keys.encoding import FormatError
from device_keys.entropy import SeededEntropy, SystemEntropy
from server_stub.database import MEMORY, open_database
from server_stub.database.protocol import DatabaseUnavailable
from server_stub.exits import CommandError, Exit
from server_stub.policy import LENIENT, STRICT
from server_stub.records import ServerClock
from server_stub.server import Server, Settings
from server_stub.shedding import Load
from server_stub.store import Store
from server_stub.trust import TrustError, load_trust, read_status_list

if TYPE_CHECKING:
    from server_stub.rules.inputs import Config

SHUTDOWN_SECONDS = 2
BACKLOG = 2048


def default_database() -> str:
    """The SQLite file in the platform's data folder."""
    from platformdirs import user_data_path

    return str(user_data_path("stepup-simulator") / "server.sqlite3")


def settings_of(options: argparse.Namespace) -> Settings:
    """The options as settings; contradictions are usage errors."""
    loopback = _is_loopback(options.host)
    if not loopback and not options.token:
        raise _usage("--host: another address than loopback demands --token")
    if options.workers < 1:
        raise _usage("--workers: expected a positive number")
    if options.workers > 1 and (options.seed is not None or options.database == MEMORY):
        raise _usage("--workers: more than one process can share neither --seed nor --database memory")
    if bool(options.tls_cert) != bool(options.tls_key):
        raise _usage("--tls-cert and --tls-key go together")
    if options.fixed_otp is not None and not (
        options.fixed_otp.isascii() and options.fixed_otp.isdigit() and len(options.fixed_otp) == 6
    ):
        raise _usage("--fixed-otp: expected six digits")
    return Settings(
        dialects=("bank", "weavr", "loginradius") if options.dialect == "all" else (options.dialect,),
        at_root=options.dialect != "all",
        methods=_methods(options.methods),
        fixed_otp=options.fixed_otp,
        token=options.token,
        loopback=loopback,
        webhook=options.webhook,
        sms_webhook=options.sms_webhook,
        smtp=options.smtp,
        seed=options.seed,
    )


def _usage(message: str) -> CommandError:
    return CommandError(Exit.USAGE, "usage", message)


def _methods(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    methods = tuple(part.strip().upper() for part in text.split(","))
    if not set(methods) <= {"PASSCODE", "BIOMETRIC"} or len(set(methods)) != len(methods):
        raise _usage("--methods: expected PASSCODE, BIOMETRIC or both, separated by a comma")
    return methods


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def build_server(options: argparse.Namespace) -> Server:
    """A server as the options say, its database opened and its demo users in place."""
    settings = settings_of(options)
    try:
        folders = [Path(options.trust_anchors)] if options.trust_anchors else []
        trust = load_trust(folders, _revocation_list(options.revocation_list))
    except (OSError, TrustError) as problem:
        raise CommandError(Exit.UNREADABLE, "unreadable", f"--trust-anchors: {problem}") from problem
    config = None if options.declarations is None else _declarations(options.declarations)
    try:
        database = open_database(options.database or default_database())
    except DatabaseUnavailable as problem:
        raise CommandError(Exit.UNREADABLE, "unreadable", str(problem)) from problem
    entropy = SystemEntropy() if options.seed is None else SeededEntropy(options.seed)
    store = Store(database, entropy=entropy)
    server = Server(store, trust, LENIENT if options.policy == "lenient" else STRICT, settings, config)
    if options.clock is not None:
        try:
            instant = parse_clock(options.clock, "--clock")
        except FormatError as problem:
            raise _usage(str(problem)) from problem
        with store.begin() as unit:
            unit.set_clock(ServerClock(frozen_at=rfc3339(instant)))
    if isinstance(entropy, SeededEntropy):
        _separate_runs(store, entropy)
    server.start()
    return server


def _revocation_list(name: str | None) -> Path | None:
    """The file of `--revocation-list`, which must be readable now: later, trust would fail closed for every phone."""
    if name is None:
        return None
    try:
        read_status_list(Path(name).read_bytes())
    except OSError as problem:
        raise CommandError(Exit.UNREADABLE, "unreadable", f"--revocation-list: {name}: {problem.strerror}") from problem
    except FormatError as problem:
        raise CommandError(Exit.UNREADABLE, "unreadable", f"--revocation-list: {name}: {problem}") from problem
    return Path(name)


def _declarations(name: str) -> Config:
    """What the file of `--declarations` states. A date in the future is judged by the system's clock and its time zone."""
    from server_stub.declarations import read_declarations

    try:
        return read_declarations(Path(name).read_text("utf-8"), datetime.now(UTC).astimezone().date())
    except OSError as problem:
        raise CommandError(Exit.UNREADABLE, "unreadable", f"--declarations: {name}: {problem.strerror}") from problem
    except UnicodeDecodeError as problem:
        raise _usage(f"--declarations: {name}: expected text in UTF-8") from problem
    except FormatError as problem:
        raise _usage(f"--declarations: {name}: {problem}") from problem


def _separate_runs(store: Store, entropy: SeededEntropy) -> None:
    """A seed over a database that holds earlier runs: count the runs into the seed, or ids would repeat."""
    with store.begin() as unit:
        runs = int(unit.setting("seeded_runs") or "0")
        unit.put_setting("seeded_runs", str(runs + 1))
    if runs:
        entropy.counters["run"] = runs
        store.entropy = SeededEntropy(entropy.bytes("run", 32).hex())


def serve(options: argparse.Namespace, out: TextIO) -> int:
    """Serve until told to stop; prints `Listening on URL` when ready."""
    set_up_logging()
    server = build_server(options)
    with bind(options.host, options.port) as listener:
        run(server, options, listener, out)
    return Exit.DONE


def set_up_logging() -> None:
    """Logs go to stderr; `STEPUP_LOG_LEVEL=debug` shows every call, `warning` only what is wrong with the server."""
    names = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
    level = names.get(os.environ.get("STEPUP_LOG_LEVEL", "info").lower(), logging.INFO)
    logging.basicConfig(stream=sys.stderr, level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for chatty in ("asyncio", "httpx2", "httpcore2"):  # whose lines would repeat whole addresses
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; a refused address is one clear error."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as problem:
        listener.close()
        raise CommandError(
            Exit.UNREADABLE, "address", f"cannot listen on {host}:{port}: {problem.strerror}"
        ) from problem
    return listener


def url_of(options: argparse.Namespace, listener: socket.socket) -> str:
    """The URL of a bound listener."""
    host, port = listener.getsockname()[:2]
    scheme = "https" if options.tls or options.tls_cert else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _check_pair(certificate: str, key: str) -> None:
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: "")
    except OSError as problem:
        raise CommandError(
            Exit.UNREADABLE, "unreadable", "--tls-cert, --tls-key: expected a certificate chain and its key, both PEM"
        ) from problem


def uvicorn_config(app: Any, options: argparse.Namespace, load: Load) -> Any:
    """How uvicorn runs our app: the `Date` header is ours, and open streams do not hold up the end."""
    import uvicorn

    from server_stub.connection import connection_class

    tls: dict[str, Any] = {}
    if options.tls:
        from device_keys.local_ca import certificate_for

        chain, key = certificate_for(options.host)
        tls = {"ssl_certfile": str(chain), "ssl_keyfile": str(key)}
    elif options.tls_cert:
        tls = {"ssl_certfile": options.tls_cert, "ssl_keyfile": options.tls_key}
        for option, file in (("--tls-cert", options.tls_cert), ("--tls-key", options.tls_key)):
            if not Path(file).is_file():
                raise CommandError(Exit.UNREADABLE, "unreadable", f"{option}: no file {file}")
        _check_pair(options.tls_cert, options.tls_key)
    return uvicorn.Config(
        app, log_config=None, access_log=False, date_header=False, server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS, ws="none", lifespan="on", http=connection_class(load), backlog=BACKLOG, **tls,
    )  # fmt: skip


def run(server: Server, options: argparse.Namespace, listener: socket.socket, out: TextIO) -> None:
    """Serve on a bound socket in this process."""
    import uvicorn

    from server_stub.app import create_app

    class Announcing(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                print(f"Listening on {url_of(options, listener)}", file=out, flush=True)

        def handle_exit(self, sig: int, frame: Any) -> None:
            # uvicorn's own would raise the signal again after a clean end; our exit code is then 0.
            server.stopping = True
            self.force_exit = self.should_exit
            self.should_exit = True

    try:
        config = uvicorn_config(create_app(server), options, server.load)
        Announcing(config).run(sockets=[listener])
    finally:
        server.store.database.close()
