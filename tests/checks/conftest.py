"""Fixtures of the checks' tests. The helper modules beside are loaded by their path: test folders are no packages."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from server_stub.trust import Trust, load_trust


def _beside(name: str) -> ModuleType:
    full = f"stepup_checks_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


_HONEST = _beside("honest")
_ALTERATIONS = _beside("alterations").build(_HONEST.Enrolled, _HONEST.Approval, _HONEST.NOW)

_FORGIVABLE = (
    "attestation.",
    "app_attest.",
    "assertion.cross",
    "assertion.top",
    "assertion.backup",
)  # by a lenient policy


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "alteration" in metafunc.fixturenames:
        metafunc.parametrize("alteration", _ALTERATIONS, ids=str)
    if "grave_alteration" in metafunc.fixturenames:
        grave = [alteration for alteration in _ALTERATIONS if not alteration.check.startswith(_FORGIVABLE)]
        metafunc.parametrize("grave_alteration", grave, ids=str)


@pytest.fixture(scope="session")
def alterations() -> list[Any]:
    return list(_ALTERATIONS)


@pytest.fixture(scope="session")
def honest() -> ModuleType:
    """The honest phone: `Enrolled(profile)`, `Approval(phone, method).evidence()`, `NOW`."""
    return _HONEST


@pytest.fixture(scope="session")
def trust() -> Trust:
    return load_trust()
