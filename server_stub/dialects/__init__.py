"""The three step-up APIs: routes, shapes and error tables. They share the relying party and never import each other.

A dialect's package is imported with the first call to it; the users that a fresh server holds need only its `people`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server_stub.http import Dialect


def load_dialect(name: str) -> Dialect:
    """The dialect of this name."""
    dialect: Dialect = import_module(f"server_stub.dialects.{name}.dialect").DIALECT
    return dialect
