"""What the phone shows before it signs: the whole payload, in words, with nothing hidden.

Every member of the payload appears. Characters that look like nothing, like something else, or that move other text are written out as
⟨U+202E⟩; long text is wrapped and never shortened. RTS Art. 5(1)(a): the payer is made aware of amount and payee.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from typing import Any, Final

from device_keys.encoding import FormatError
from device_keys.messages import Kind
from device_keys.orders import parse_order

LONG_TEXT: Final = 70
# Letters of European alphabets that neither are ASCII nor decompose into it.
_PLAIN_LATIN: Final = frozenset("ßæœøđłðþħŋŧəÆŒØĐŁÐÞĦŊŦƏẞªº")
_LOOK_LIKE_LATIN: Final = frozenset(
    {"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU", "GOTHIC", "DESERET", "OSAGE"}
)
# Members that the headline of an order in our own shape states in full.
_OURS: Final = frozenset({"amount", "currency", "payee.name"})
_OURS_OPTIONAL: Final = frozenset({"payee.sortCode", "payee.accountNumber", "payee.iban"})
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class ShownPayee:
    """One payee as shown."""

    name: str
    account: str
    amount: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A step-up as the phone's screen has it. `details` is every member of the payload as (path, value); `notes` are warnings."""

    title: str
    amount: str | None
    payees: tuple[ShownPayee, ...]
    details: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    @property
    def rest(self) -> tuple[tuple[str, str], ...]:
        """The members that amount and payees above do not state already: for our own shape of order those beside its known ones."""
        if self.amount is None or len(self.payees) != 1 or _OURS - {path for path, _ in self.details}:
            return self.details
        return tuple((path, value) for path, value in self.details if path not in _OURS | _OURS_OPTIONAL)

    def sentence(self) -> str:
        """The order in one line of words."""
        if self.amount is None:
            return f"{self.title}: " + ", ".join(f"{path} {value}" for path, value in self.details)
        names = " and ".join(
            f"{payee.name} ({payee.account})" if payee.account else payee.name for payee in self.payees
        )
        return f"{self.amount} to {names}"

    def lines(self, width: int = 38) -> list[str]:
        """All of it, wrapped to `width` cells; no character is dropped."""
        texts = [self.title]
        if self.amount is not None:
            texts += [self.amount]
            texts += [f"to {p.name}" + (f" · {p.account}" if p.account else "") for p in self.payees]
        texts += [f"{path}: {value}" for path, value in self.rest]
        texts += [f"! {note}" for note in self.notes]
        return [line for text in texts for line in wrap(text, width)]


def show(kind: str, payload: Any) -> Shown:
    """What the screen shows for this payload."""
    details: list[tuple[str, str]] = []
    notes: list[str] = []
    for path, value in _leaves(payload, ""):
        details.append((visible(path), visible(value) if isinstance(value, str) else json.dumps(value)))
        notes += [f"{visible(path)} {remark}" for remark in remarks(value)] if isinstance(value, str) else []
        notes += [f"The member name {visible(path)} {remark}" for remark in remarks(path)]
    if kind != Kind.PAYMENT:
        return Shown("Confirm access to your account", None, (), tuple(details), tuple(dict.fromkeys(notes)))
    try:
        order = parse_order(payload)
    except FormatError as error:
        order = None
        notes.insert(0, f"The amount is not a plain number of this currency: {error}.")
    if order is None:
        notes.insert(0, "The bank sent an order in a form that this phone does not know: read all of it.")
        return Shown("Confirm this order", None, (), tuple(details), tuple(dict.fromkeys(notes)))
    payees = tuple(ShownPayee(visible(p.name), visible(p.account), visible(p.amount)) for p in order.payees)
    amount = f"{visible(order.amount)} {visible(order.currency)}"
    return Shown("Confirm this payment", amount, payees, tuple(details), tuple(dict.fromkeys(notes)))


def _leaves(value: Any, path: str) -> list[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        return [leaf for name, inner in value.items() for leaf in _leaves(inner, f"{path}.{name}" if path else name)]
    if isinstance(value, list) and value:
        return [leaf for index, inner in enumerate(value, 1) for leaf in _leaves(inner, f"{path}[{index}]")]
    return [(path or "order", value)]


def visible(text: str) -> str:
    """The text with every character that misleads the eye written out. One result never stands for two different texts."""
    latin = "LATIN" in scripts(text)
    shown = []
    for index, char in enumerate(text):
        edge = char == " " and (index in (0, len(text) - 1) or text[index - 1] == " ")
        shown.append(f"⟨U+{ord(char):04X}⟩" if edge or misleads(char, latin=latin, first=index == 0) else char)
    return "".join(shown)


def misleads(char: str, *, latin: bool = False, first: bool = False) -> bool:
    """Whether a character is unseen, moves others, or looks like another one (among Latin letters, where `latin`)."""
    category = unicodedata.category(char)
    if char in "⟨⟩" or category in _UNSEEN or (category == "Zs" and char != " "):
        return True
    if category.startswith("M"):
        return first or latin  # a mark on a Latin letter has a composed form, or hides the letter
    if char.isascii():
        return False
    if unicodedata.normalize("NFKC", char) != char and not _decomposes_to_ascii_and_marks(char):
        return char not in _PLAIN_LATIN
    script = _script(char)
    if script == "LATIN":
        return char not in _PLAIN_LATIN and not _decomposes_to_ascii_and_marks(char)
    return latin and script in _LOOK_LIKE_LATIN


def _decomposes_to_ascii_and_marks(char: str) -> bool:
    base, *marks = list(unicodedata.normalize("NFD", char))
    return base.isascii() and bool(marks) and all(unicodedata.combining(mark) for mark in marks)


def _script(char: str) -> str:
    return unicodedata.name(char, "UNKNOWN").split()[0].split("-")[0]


def scripts(text: str) -> frozenset[str]:
    """The scripts of the letters in `text`, by the first word of their Unicode names."""
    return frozenset(_script(char) for char in text if unicodedata.category(char).startswith("L"))


def remarks(text: str) -> list[str]:
    """What a reader should be told about a text beside the text itself."""
    notes = []
    used = scripts(text)
    if visible(text) != text:
        notes.append("holds characters that cannot be seen or look like others; they are written out as ⟨U+…⟩.")
    alike = sorted(script.title() for script in used & _LOOK_LIKE_LATIN)
    if alike:
        notes.append(f"holds {' and '.join(alike)} letters, which can look like Latin ones.")
    if len(text) > LONG_TEXT:
        notes.append(f"is {len(text)} characters long; all of them are shown.")
    return notes


def wrap(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` cells, broken after a space where there is one; joined again they are `text`."""
    lines: list[str] = []
    line, cells, last_space = "", 0, 0
    for char in text:
        size = 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if cells + size > width and line:
            cut = last_space or len(line)
            lines.append(line[:cut])
            line = line[cut:]
            cells = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)
            last_space = 0
        line, cells = line + char, cells + size
        last_space = len(line) if char == " " else last_space
    return [*lines, line]
