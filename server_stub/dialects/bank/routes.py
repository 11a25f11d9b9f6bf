"""The bank's four operations."""

from __future__ import annotations

from typing import Final

from server_stub.dialects.bank import documented
from server_stub.dialects.bank.constants import STEP_UP_PATH
from server_stub.dialects.bank.login import login, refresh
from server_stub.dialects.bank.payments import pay
from server_stub.dialects.bank.stepup import step_up
from server_stub.http import Endpoint

ENDPOINTS: Final = (
    Endpoint("POST", "/v1/oauth2/login", login, documented.LOGIN),
    Endpoint("POST", "/v1/payments/domestic", pay, documented.PAY),
    Endpoint("POST", STEP_UP_PATH, step_up, documented.STEP_UP),
    Endpoint("POST", "/v1/oauth2/refresh", refresh, documented.REFRESH),
)
