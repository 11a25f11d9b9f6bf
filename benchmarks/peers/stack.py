"""The usual stack doing the least that a step-up is: FastAPI, py_webauthn, SQLAlchemy on SQLite with a durable commit.

`python stack.py PORT FILE`: FILE holds the credential, its relying party and the database's place.
"""

import json
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from webauthn import base64url_to_bytes, verify_authentication_response


class Base(DeclarativeBase):
    pass


class Credential(Base):
    __tablename__ = "credentials"
    id: Mapped[str] = mapped_column(primary_key=True)
    public_key: Mapped[bytes]
    sign_count: Mapped[int]


class Challenge(Base):
    __tablename__ = "challenges"
    value: Mapped[str] = mapped_column(primary_key=True)
    used: Mapped[bool] = mapped_column(default=False)


class Entry(Base):
    __tablename__ = "log"
    seq: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


class StepUp(BaseModel):
    challenge: str
    assertion: dict


material = json.loads(Path(sys.argv[2]).read_text())
engine = create_engine(f"sqlite:///{material['database']}")


@event.listens_for(engine, "connect")
def durable(connection, _):
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


Base.metadata.create_all(engine)
with Session(engine) as session:
    session.merge(Credential(id=material["credentialId"], public_key=bytes.fromhex(material["cose"]), sign_count=0))
    for value in material["challenges"]:
        session.merge(Challenge(value=value))
    session.commit()

app = FastAPI()


@app.get("/")
async def root():
    return {}


@app.post("/")
async def step_up(body: StepUp):
    with Session(engine) as session:
        challenge = session.get(Challenge, body.challenge)
        credential = session.get(Credential, body.assertion["id"])
        if challenge is None or credential is None:
            raise HTTPException(403)
        found = verify_authentication_response(
            credential=body.assertion, expected_challenge=base64url_to_bytes(body.challenge), expected_rp_id=material["rpId"],
            expected_origin=material["origin"], credential_public_key=credential.public_key, credential_current_sign_count=0,
        )  # fmt: skip
        challenge.used = True
        credential.sign_count = found.new_sign_count
        session.add(Entry(text=body.challenge))
        session.commit()
    return {"ok": True}


uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False)
