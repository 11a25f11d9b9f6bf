"""The commands of `stepup-server` that ask a running server, or judge a file."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any, TextIO

from server_stub.exits import CommandError, Exit


def _ask(options: argparse.Namespace, method: str, path: str, body: Any = None) -> bytes:
    """One call to the server's operator routes; its raw answer."""
    import ssl
    import urllib.error
    import urllib.request

    url = options.server.rstrip("/") + path
    if not url.startswith(("http://", "https://")):
        raise CommandError(Exit.USAGE, "usage", "--server: expected an http or https URL")
    headers = {"Content-Type": "application/json"} | (
        {"Authorization": f"Bearer {options.token}"} if options.token else {}
    )
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers, method=method)  # noqa: S310
    context = None
    if url.startswith("https:"):
        context = ssl.create_default_context()
        from device_keys.local_ca import ca_certificate

        if ca_certificate().is_file():
            context.load_verify_locations(ca_certificate())
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:  # noqa: S310
            raw: bytes = answer.read()
            return raw
    except urllib.error.HTTPError as problem:
        raise _refused(problem.code, problem.read()) from problem
    except (OSError, ValueError) as problem:
        message = f"no server answers at {options.server}: start one with stepup-server serve"
        raise CommandError(Exit.UNREADABLE, "unreachable", message) from problem


def _refused(status: int, raw: bytes) -> CommandError:
    try:
        found = json.loads(raw)["error"]
        return CommandError(Exit.REFUSED, found["code"], found["message"])
    except (ValueError, KeyError, TypeError):
        return CommandError(Exit.UNREADABLE, "unreadable", f"the server answered {status}; is it a stepup-server?")


def _ask_json(options: argparse.Namespace, method: str, path: str, body: Any = None) -> Any:
    return json.loads(_ask(options, method, path, body))


def clock(options: argparse.Namespace, out: TextIO) -> int:
    """`clock show|set T|advance SECONDS|release`."""
    if options.action == "show":
        state = _ask_json(options, "GET", "/_stub/clock")
    elif options.action == "release":
        state = _ask_json(options, "PUT", "/_stub/clock", {"frozen": False})
    elif options.value is None:
        raise CommandError(Exit.USAGE, "usage", f"clock {options.action}: expected a value")
    elif options.action == "set":
        state = _ask_json(options, "PUT", "/_stub/clock", {"now": options.value, "frozen": True})
    else:
        try:
            seconds = float(options.value)
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds < math.inf:
            raise CommandError(Exit.USAGE, "usage", "clock advance: expected a number of seconds that is not negative")
        state = _ask_json(options, "POST", "/_stub/clock/advance", {"seconds": seconds})
    print(json.dumps(state) if options.json else f"{state['now']}{' (frozen)' if state['frozen'] else ''}", file=out)
    return Exit.DONE


def log(options: argparse.Namespace, out: TextIO) -> int:
    """`log verify`: reads the whole log in pages and follows its chain."""
    from server_stub.log_chain import verify_log_pages

    def page(after: int) -> bytes:
        return _ask(options, "GET", f"/_stub/log?after={after}&most=5000")

    count, problem = verify_log_pages(page)
    if options.json:
        print(json.dumps({"entries": count, "ok": problem is None, "problem": problem and problem.to_json()}), file=out)
    elif problem is None:
        print(f"The log is whole: {count} entries, each chained to the one before.", file=out)
    else:
        print(f"The log does not hold at entry {problem.seq}: {problem.explanation}", file=out)
    return Exit.DONE if problem is None else Exit.REFUSED


def evidence(options: argparse.Namespace, out: TextIO) -> int:
    """`evidence ID`: the bundle on stdout, exactly as it was made."""
    print(_ask(options, "GET", _of(options, "evidence")).decode(), end="", file=out)
    return Exit.DONE


def _of(options: argparse.Namespace, what: str) -> str:
    from urllib.parse import quote

    attempt = "" if options.attempt is None else f"?attempt={options.attempt}"
    return f"/_stub/transactions/{quote(options.transaction, safe='')}/{what}{attempt}"


def report(options: argparse.Namespace, out: TextIO) -> int:
    """`report ID`: the compliance report in the terminal, as JSON, or as HTML."""
    from server_stub.bundle import read_bundle

    verdict = _ask_json(options, "GET", _of(options, "verdict"))
    bundle = read_bundle(_ask(options, "GET", _of(options, "evidence")))
    return _show(options, out, verdict, bundle)


def appraise(options: argparse.Namespace, out: TextIO) -> int:
    """`appraise FILE`: the verdict over a bundle, offline."""
    from device_keys.clock import parse_clock
    from device_keys.encoding import FormatError
    from server_stub.bundle import BundleError, read_bundle
    from server_stub.bundle import appraise as judge

    try:
        raw = sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
        bundle = read_bundle(raw)
    except (OSError, BundleError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else problem
        raise CommandError(Exit.UNREADABLE, "unreadable", f"{options.file}: {why}") from problem
    try:
        now = parse_clock(options.now, "--now") if options.now else None
    except FormatError as problem:
        raise CommandError(Exit.USAGE, "usage", str(problem)) from problem
    try:
        verdict = judge(bundle, now=now, policy=options.policy)
    except BundleError as problem:
        raise CommandError(Exit.UNREADABLE, "unreadable", f"{options.file}: {problem}") from problem
    return _show(options, out, verdict.to_json(), bundle)


def _show(options: argparse.Namespace, out: TextIO, verdict: dict[str, Any], bundle: Any) -> int:
    from server_stub.report import render_html, render_text

    if options.html:
        _write(Path(options.html), render_html(verdict, bundle))
    if options.json:
        print(json.dumps(verdict, separators=(",", ":"), ensure_ascii=False), file=out)
    else:
        from rich.console import Console

        render_text(verdict, bundle, Console(file=out))
        if options.html:
            print(f"Written to {options.html}", file=sys.stderr)
    return Exit.DONE if verdict["accepted"] else Exit.REFUSED


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise CommandError(Exit.UNREADABLE, "unwritable", f"{file}: {problem.strerror}") from problem


def ca(options: argparse.Namespace, out: TextIO) -> int:
    """`ca`: the path of the local test CA's certificate, made if it is not there yet."""
    from device_keys.local_ca import make_ca

    path = make_ca()
    print(json.dumps({"certificate": str(path)}) if options.json else path, file=out)
    return Exit.DONE
