"""The README is true: its table of faults is the program's, its commands exist, its links lead somewhere."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from authenticator.cli import main as phone
from authenticator.faults import FAULTS
from server_stub.cli import main as server

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
TABLE = re.compile(r"(<!-- faults -->\n).*?(<!-- /faults -->)", re.DOTALL)


def fault_table() -> str:
    rows = [f"| `{f.name}` | `{f.check}` | {f.simulates} |" for f in FAULTS.values()]
    return "\n".join(["| fault | trips | simulates |", "|---|---|---|", *rows]) + "\n"


def test_the_table_of_faults_is_the_programs() -> None:
    """`STEPUP_UPDATE=1` writes it anew."""
    text = README.read_text(encoding="utf-8")
    wanted = TABLE.sub(lambda found: found[1] + fault_table() + found[2], text)
    if os.environ.get("STEPUP_UPDATE"):
        README.write_text(wanted, encoding="utf-8")
    assert text == wanted or os.environ.get("STEPUP_UPDATE")


@pytest.mark.parametrize(
    "document", ["README.md", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").glob("*.md")))]
)
def test_links_to_files_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    here = (ROOT / document).parent
    targets = [target for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text) if "://" not in target]
    assert [target for target in targets if not (here / target).exists()] == []


def commands(program: str) -> set[str]:
    text = README.read_text(encoding="utf-8")
    return set(re.findall(rf"{program} ([a-z]+)", text))


@pytest.mark.parametrize("command", sorted(commands("stepup-phone")))
def test_each_phone_command_of_the_readme_exists(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        phone([command, "--help"])
    assert ended.value.code == 0
    assert command in capsys.readouterr().out


@pytest.mark.parametrize("command", sorted(commands("stepup-server")))
def test_each_server_command_of_the_readme_exists(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        server([command, "--help"])
    assert ended.value.code == 0
    assert command in capsys.readouterr().out
