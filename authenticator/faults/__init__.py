"""Every fault, one for each check of the server; and variants, further ways to trip a check that has its fault already."""

from __future__ import annotations

from typing import Final

from authenticator.errors import UsageError
from authenticator.faults import circumstances, codes, registration, response
from authenticator.faults.fault import ANDROID, APPROVE, ATTEST, ENROL, IPHONES, PAY, PHONES, SIGN_ONLY, Fault, Flow

__all__ = [
    "ANDROID", "APPROVE", "ATTEST", "ENROL", "FAULTS", "IPHONES", "PAY", "PHONES", "SIGN_ONLY", "VARIANTS", "Fault", "Flow", "find_fault",
]  # fmt: skip

_ALL: Final = (*circumstances.FAULTS, *codes.FAULTS, *response.FAULTS, *registration.FAULTS)


def _pair(faults: tuple[Fault, ...]) -> tuple[dict[str, Fault], dict[str, Fault]]:
    """The first fault of each check, and the rest."""
    first: dict[str, Fault] = {}
    for fault in faults:
        first.setdefault(fault.check, fault)
    paired = {fault.name: fault for fault in first.values()}
    return paired, {fault.name: fault for fault in faults if fault.name not in paired}


FAULTS, VARIANTS = _pair(_ALL)


def find_fault(name: str, option: str = "--fault") -> Fault:
    """The fault or variant of that name; `UsageError` names the option and points to the list."""
    fault = FAULTS.get(name) or VARIANTS.get(name)
    if fault is None:
        raise UsageError(f"{option}: no fault is called {name!r}; stepup-phone faults lists them", field=option)
    return fault
