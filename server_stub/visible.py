"""Text from outside, made safe to look at: nothing invisible stays invisible, and look-alike letters are pointed out."""

from __future__ import annotations

import unicodedata


def visible(text: object) -> str:
    """The text with every character that is invisible, a control, or changes direction written as ⟨U+XXXX⟩."""
    hidden = ("Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn")
    return "".join(f"⟨U+{ord(c):04X}⟩" if unicodedata.category(c) in hidden else c for c in str(text))


def mixed_scripts(text: str) -> str | None:
    """`Cyrillic and Latin` where the letters of a text are of more than one script: a name may look like another. None otherwise."""
    names = {unicodedata.name(c, "").split(" ")[0] for c in text if c.isalpha()} & {
        "LATIN",
        "CYRILLIC",
        "GREEK",
        "ARMENIAN",
        "CHEROKEE",
    }
    return " and ".join(sorted(name.title() for name in names)) if len(names) > 1 else None


def noted(text: str | None) -> str:
    """The text made visible, with a note where its letters are of more than one script."""
    mixed = mixed_scripts(text) if text is not None else None
    return visible(text) + (f" (with {mixed} letters)" if mixed else "")
