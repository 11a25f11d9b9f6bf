"""What stands on the screen already is not drawn again."""

from __future__ import annotations

import pytest
from textual.content import Content

from authenticator.tui.widgets.text import Text


class Watched(Text):
    """Counts how often it asks to be drawn."""

    drawn = 0

    def refresh(self, *regions: object, **options: object) -> Watched:
        self.drawn += 1
        return self


@pytest.mark.parametrize("words", ["9:41", Content.assemble(("1", "bold"), " Bank")], ids=["plain", "styled"])
def test_the_same_text_told_again_is_not_drawn_again(words: str | Content) -> None:
    text = Watched(markup=False)
    for _ in range(3):
        text.update(words)
    assert text.drawn == 1


@pytest.mark.parametrize(
    "other",
    ["1 Pay", Content("1 Bank"), Content.assemble(("1", "bold"), ("", ""), " Mail"), "1 Bank"],
    ids=["words", "without its style", "words in the same style", "plain"],
)
def test_text_that_reads_or_looks_otherwise_is_drawn(other: str | Content) -> None:
    text = Watched(markup=False)
    text.update(Content.assemble(("1", "bold"), " Bank"))
    text.update(other)
    assert text.drawn == 2
    assert text.content is other
