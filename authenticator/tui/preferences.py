"""How this phone's screen looks: theme and motion, in a small file beside its store. Nothing secret, nothing of the phone's state."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

FILE: Final = "screen.json"
NAMES: Final = ("phone-dark", "phone-light", "phone-contrast")


@dataclass(frozen=True, slots=True)
class Preferences:
    """`still`: nothing moves."""

    theme: str = NAMES[0]
    still: bool = False


def read(folder: Path) -> Preferences:
    """The preferences kept there; the usual ones where there are none, or none that can be read."""
    try:
        kept = json.loads((folder / FILE).read_text("utf-8"))
        theme, still = kept.get("theme"), kept.get("still")
    except (OSError, ValueError, AttributeError):
        return Preferences()
    return Preferences(theme if theme in NAMES else NAMES[0], still is True)


def write(folder: Path, preferences: Preferences) -> None:
    """Keep them; a folder that cannot be written loses them, no more."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(json.dumps(asdict(preferences)), "utf-8")
    except OSError:
        return
