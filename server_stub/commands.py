"""The commands of `stepup-server` that ask a running server, or judge a file."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from server_stub.exits import CommandError, Exit

if TYPE_CHECKING:
    from server_stub.log_chain import ChainProblem


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
    """`log verify`: reads the whole log in pages and follows its chain; asks the server to hold its own table against it."""
    from server_stub.log_chain import Kept, verify_log_pages

    kept = Kept(options.head, options.count)
    chain = verify_log_pages(lambda after: _ask(options, "GET", f"/_stub/log?most=5000{_from(after)}"), kept)
    problem = chain.problem or _servers_own_check(options)
    if options.json:
        found = {"count": chain.count, "head": chain.head, "ok": problem is None}
        print(json.dumps(found | {"problem": problem and problem.to_json()}), file=out)
    elif problem is None:
        print(f"The log is whole: {chain.count} entries, each chained to the one before.", file=out)
        print(f"Keep elsewhere: --head {chain.head} --count {chain.count}", file=out)
        print("The server finds its table and its verdicts to agree with the entries.", file=out)
    else:
        print(f"The log does not hold at entry {problem.seq}: {problem.explanation}", file=out)
    return Exit.DONE if problem is None else Exit.REFUSED


def _from(after: int | None) -> str:
    return "" if after is None else f"&after={after}"


def _servers_own_check(options: argparse.Namespace) -> ChainProblem | None:
    """What no reader of entries can see: the columns beside them, and the verdicts. The answers are the server's word."""
    import msgspec

    from server_stub.log_check import Checked, count_problem

    after, attempts = None, 0
    while True:
        raw = _ask(options, "GET", f"/_stub/log/check?most=5000{_from(after)}")
        try:
            page = msgspec.json.decode(raw, type=Checked)
        except msgspec.DecodeError as problem:
            raise CommandError(Exit.UNREADABLE, "unreadable", "the server's check of its own log") from problem
        if page.problem is not None:
            return page.problem
        attempts += page.attempts
        if page.last is None:
            return count_problem(attempts, page.verdicts or 0, after or 0)
        after = page.last


def evidence_key(options: argparse.Namespace, out: TextIO) -> int:
    """`evidence-key`: the public key (PEM) that signs this server's bundles."""
    from server_stub.evidence_key import key_id, read_public_key

    pem = _ask(options, "GET", "/_stub/evidence-key").decode()
    found = {"keyId": key_id(read_public_key(pem)), "publicKey": pem}
    print(json.dumps(found) if options.json else pem, end="\n" if options.json else "", file=out)
    return Exit.DONE


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
    """`appraise FILE`: the verdict over a bundle, offline, by whom the appraiser trusts."""
    from device_keys.clock import parse_clock
    from device_keys.encoding import FormatError
    from server_stub.appraisal import appraise as judge
    from server_stub.bundle import BundleError, read_bundle
    from server_stub.trust import TrustError, load_trust

    if options.as_recorded and (options.policy or options.trust_anchors):
        raise CommandError(Exit.USAGE, "usage", "--as-recorded: goes with neither --policy nor --trust-anchors")
    key = None if options.server_key is None else _public_key(options.server_key)
    try:
        now = parse_clock(options.now, "--now") if options.now else None
    except FormatError as problem:
        raise CommandError(Exit.USAGE, "usage", str(problem)) from problem
    try:
        trust = load_trust([Path(options.trust_anchors)]) if options.trust_anchors else None
    except (OSError, TrustError) as problem:
        raise CommandError(Exit.UNREADABLE, "unreadable", f"--trust-anchors: {problem}") from problem
    try:
        raw = sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
        bundle = read_bundle(raw)
        appraised = judge(
            bundle, now=now, policy=options.policy, trust=trust, server_key=key, as_recorded=options.as_recorded
        )
    except (OSError, BundleError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else problem
        raise CommandError(Exit.UNREADABLE, "unreadable", f"{options.file}: {why}") from problem
    shown = _show(options, out, appraised.to_json(), bundle)
    return shown if key is None or appraised.appraisal.origin == "verified" else Exit.REFUSED


def _public_key(name: str) -> bytes:
    """The raw key of `--server-key`."""
    from device_keys.encoding import FormatError
    from server_stub.evidence_key import read_public_key

    try:
        return read_public_key(Path(name).read_bytes())
    except OSError as problem:
        raise CommandError(Exit.UNREADABLE, "unreadable", f"--server-key: {name}: {problem.strerror}") from problem
    except FormatError as problem:
        raise CommandError(Exit.USAGE, "usage", f"--server-key: {name}: expected {problem.expected}") from problem


def _show(options: argparse.Namespace, out: TextIO, document: dict[str, Any], bundle: Any) -> int:
    """Show a verdict as JSON has it, with its appraisal if it has one."""
    from server_stub.report import render_html, render_text

    if options.html:
        _write(Path(options.html), render_html(document, bundle))
    if options.json:
        print(json.dumps(document, separators=(",", ":"), ensure_ascii=False), file=out)
    else:
        from rich.console import Console

        render_text(document, bundle, Console(file=out))
        if options.html:
            print(f"Written to {options.html}", file=sys.stderr)
    return Exit.DONE if document["accepted"] else Exit.REFUSED


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
