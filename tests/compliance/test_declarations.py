"""What an operator declares: read from a file, refused where it says too much, kept with each verdict, and worth `declared` at most."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_keys.encoding import FormatError
from server_stub.appraisal import appraise
from server_stub.bundle import read_bundle
from server_stub.cli import main
from server_stub.declarations import example, read_declarations
from server_stub.rules.registry import rules
from server_stub.verdict import Grade

from ..server.conftest import Bank
from ..support.server import client_of, servers

TODAY = date(2026, 3, 2)
GOOD = '["RTS-22.3"]\nstatement = "Keys are managed"\nreference = "Handbook, chapter 7"\ndate = 2026-01-31\n'
EXAMPLE = Path(__file__).parents[2] / "examples" / "declarations.toml"
DECLARABLE = [rule.id for rule in rules() if rule.declarable]


@pytest.mark.parametrize(
    "written", ["2026-01-31", '"2026-01-31"', "2026-01-31T10:00:00Z", '"2026-01-31T23:00:00-02:00"', "2026-01-31T00:30:00"]
)  # fmt: skip
def test_a_file_says_statement_reference_and_date_of_a_rule(written: str) -> None:
    (one,) = read_declarations(GOOD.replace("2026-01-31", written), TODAY).declarations
    expected = "2026-02-01" if "-02:00" in written else "2026-01-31"
    assert (one.rule, one.statement, one.reference, one.date) == (
        "RTS-22.3", "Keys are managed", "Handbook, chapter 7", expected,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (GOOD.replace("RTS-22.3", "RTS-99.9"), '["RTS-99.9"]'),
        (GOOD.replace('"RTS-22.3"', "RTS-22.3"), '["RTS-22"]'),
        (GOOD.replace("RTS-22.3", "RTS-4.1-elements"), '["RTS-4.1-elements"]'),
        ('"RTS-22.3" = "yes"', '["RTS-22.3"]'),
        (GOOD + 'grade = "proved"\n', '["RTS-22.3"] grade'),
        (GOOD.replace('statement = "Keys are managed"\n', ""), '["RTS-22.3"] statement'),
        (GOOD.replace('"Keys are managed"', '"  "'), '["RTS-22.3"] statement'),
        (GOOD.replace('"Handbook, chapter 7"', "7"), '["RTS-22.3"] reference'),
        (GOOD.replace("date = 2026-01-31\n", ""), '["RTS-22.3"] date'),
        (GOOD.replace("2026-01-31", "2026-03-03"), '["RTS-22.3"] date'),
        (GOOD.replace("2026-01-31", '"last week"'), '["RTS-22.3"] date'),
        (GOOD.replace("2026-01-31", '"2026-02-30"'), '["RTS-22.3"] date'),
        (GOOD.replace("2026-01-31", "10:00:00"), '["RTS-22.3"] date'),
        (GOOD.replace("2026-01-31", "true"), '["RTS-22.3"] date'),
        (GOOD + GOOD, "the file"),
        ("[", "the file"),
    ],
)
def test_a_file_that_says_too_much_or_too_little_is_refused_by_the_name_of_what_is_wrong(text: str, named: str) -> None:
    with pytest.raises(FormatError) as refused:
        read_declarations(text, TODAY)
    assert refused.value.field == named


@given(st.text())
def test_no_text_is_more_than_refused(text: str) -> None:
    with suppress(FormatError):
        read_declarations(text, TODAY)


def test_a_date_of_today_is_not_in_the_future() -> None:
    assert read_declarations(GOOD.replace("2026-01-31", TODAY.isoformat()), TODAY).declarations


def test_the_example_has_every_rule_that_may_be_declared_and_stands_among_the_examples() -> None:
    assert [one.rule for one in read_declarations(example(), TODAY).declarations] == DECLARABLE
    assert EXAMPLE.read_text("utf-8") == example()


def test_the_command_prints_the_example_and_starts_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--declarations", "example", "--database", "/nowhere/at/all.sqlite3"]) == 0
    assert capsys.readouterr().out == example()
    assert main(["serve", "--declarations", "example", "--json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out) == {"declarations": example()}


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (GOOD.replace("RTS-22.3", "RTS-4.1-elements"), 2, "RTS-4.1-elements"),
        (GOOD.replace("2026-01-31", "9000-01-31"), 2, '["RTS-22.3"] date'),
        (GOOD.replace("2026-01-31", "8999-01-31"), 2, "not in the future"),
        ("not TOML", 2, "TOML"),
        ("\udcff", 2, "UTF-8"),
        (None, 3, "No such file"),
    ],
)
def test_a_server_does_not_start_with_such_a_file_and_says_why(
    text: str | None, code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "declared.toml"
    if text is not None:
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert main(["serve", "--database", "memory", "--declarations", str(file)]) == code
    said = capsys.readouterr().err
    assert str(file) in said
    assert words in said


def test_what_is_declared_travels_with_the_verdict_and_its_bundle_and_is_worth_no_more_than_declared() -> None:
    with servers() as make:
        server = make(dialects=("bank",))
        bank = Bank(client_of(server))
        assert bank.login().status_code == 200
        before = bank.start()
        assert bank.step_up(before).status_code == 403
        server.config = read_declarations(example(), TODAY)
        after = bank.start()
        assert bank.step_up(after).status_code == 403
        server.config = None
        for transaction, declared in ((before, ()), (after, tuple(DECLARABLE))):
            verdict = bank.verdict(transaction)
            bundle = read_bundle(bank.http.get(f"/_stub/transactions/{transaction}/evidence").content)
            assert tuple(one.rule for one in bundle.config.declarations) == declared
            found = {rule["id"]: rule for rule in verdict["compliance"]["rules"]}
            assert (found["RTS-22.3"]["verdict"], found["RTS-22.3"]["grade"]) == (
                ("pass", "declared") if declared else ("undetermined", "none")
            )
            again = {rule.id: rule for rule in appraise(bundle, as_recorded=True).verdict.compliance.rules}
            assert again["RTS-22.3"].verdict == found["RTS-22.3"]["verdict"]
            assert again["RTS-22.3"].grade in (Grade.DECLARED, Grade.NONE)
