"""The limits of the server's rows: starlette and uvicorn, with nothing (`idle`), or with one bare verify and one durable SQLite commit.

`python bare.py idle|step-up PORT FILE`: FILE holds the public key and the database's place.
"""

from __future__ import annotations

import json
import sqlite3
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def idle(request: Request) -> Response:
    return Response(b"{}", media_type="application/json")


def step_up(material: dict[str, str]) -> Route:
    from base64 import urlsafe_b64decode

    import msgspec
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    algorithm = ec.ECDSA(hashes.SHA256())
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes.fromhex(material["point"]))
    connection = sqlite3.connect(material["database"], isolation_level=None, cached_statements=64)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS state (id TEXT PRIMARY KEY, count INTEGER)")
    connection.execute("CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, entry TEXT)")
    connection.execute("INSERT OR IGNORE INTO state VALUES ('a', 0)")

    async def endpoint(request: Request) -> Response:
        body = msgspec.json.decode(await request.body())
        signature, signed = (urlsafe_b64decode(body[name] + "==") for name in ("signature", "signed"))
        key.verify(signature, signed, algorithm)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE state SET count = count + 1 WHERE id = 'a'")
        connection.execute("INSERT INTO log (entry) VALUES (?)", (body["signature"],))
        connection.execute("COMMIT")
        return Response(b'{"ok":true}', media_type="application/json")

    return Route("/", endpoint, methods=["POST"])


def main() -> None:
    what, port = sys.argv[1], int(sys.argv[2])
    if what == "idle":
        app = Starlette(routes=[Route("/", idle)])
    else:
        with open(sys.argv[3]) as file:
            app = Starlette(routes=[step_up(json.load(file)), Route("/idle", idle)])
    uvicorn.run(app, port=port, log_config=None, access_log=False, date_header=False, server_header=False)


if __name__ == "__main__":
    main()
