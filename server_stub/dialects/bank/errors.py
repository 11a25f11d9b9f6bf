"""The bank's error table: one body shape, each code with its HTTP status."""

from __future__ import annotations

from typing import Final

from server_stub.http import Refusal, Reply

NOT_ALLOWED: Final = "Not Allowed to execute this request"
# code → (status, message): seed S0-7, the published gateway table, and our own choices (bank.md 9 and 11.1).
ERRORS: Final[dict[str, tuple[int, str]]] = {
    "400.000.51": (400, "Request not valid"),
    "400.000.52": (400, "Authentication method not available"),
    "400.000.53": (400, "Insufficient funds"),
    "401.000.11": (401, "Invalid api key supplied"),
    "401.000.22": (401, "Verify access token again"),
    "403.000.51": (403, "Step-up required"),
    "403.000.52": (403, "Authentication failed"),
    "403.000.53": (403, "Transaction identifier not valid"),
    "403.000.54": (403, "User temporarily blocked"),
    "404.001.001": (404, "The requested resource URL is not an API endpoint"),
    "413.000.51": (413, "Request too large"),
    "500.001.001": (500, "Something went wrong while processing your request. Please try again later"),
    "503.001.001": (503, "Service temporarily unavailable"),
}


def error(code: str, info: str = NOT_ALLOWED, **headers: str) -> Reply:
    """A refusal in the bank's shape; never with a `transactionId`."""
    status, message = ERRORS[code]
    return Reply(status, {"code": code, "message": message, "info": info}, headers)


def refuse(code: str, info: str = NOT_ALLOWED) -> Refusal:
    return Refusal(error(code, info))
