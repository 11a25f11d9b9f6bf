"""`stepup-phone attest` and `inspect`."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from authenticator.commands.common import edits_of, fixed_clock
from authenticator.errors import Unreadable, UsageError
from authenticator.output import Output
