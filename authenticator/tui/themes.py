"""Three themes: dark, light, high contrast. One accent; red only for refusal and danger, green only for a finished approval, amber for a
fault that is armed. The colours stay apart when a terminal of sixteen colours rounds them."""

from __future__ import annotations

from typing import Final

from textual.theme import Theme

DARK: Final = Theme(
    name="phone-dark",
    primary="#5fafff",
    secondary="#5fafff",
    accent="#5fafff",
    foreground="#e4e4e4",
    background="#121212",
    surface="#1c1c1c",
    panel="#262626",
    success="#5fd787",
    warning="#ffaf00",
    error="#ff5f5f",
    dark=True,
    variables={
        "muted": "#9e9e9e",
        "cursor": "#005f87",
        "footer-key-foreground": "#5fafff",
        "block-cursor-text-style": "bold",
    },
)
LIGHT: Final = Theme(
    name="phone-light",
    primary="#005faf",
    secondary="#005faf",
    accent="#005faf",
    foreground="#1c1c1c",
    background="#e4e4e4",
    surface="#f8f8f8",
    panel="#dadada",
    success="#007a33",
    warning="#8a5a00",
    error="#b00020",
    dark=False,
    variables={
        "muted": "#626262",
        "cursor": "#afd7ff",
        "footer-key-foreground": "#005faf",
        "block-cursor-text-style": "bold",
    },
)
CONTRAST: Final = Theme(
    name="phone-contrast",
    primary="#ffff00",
    secondary="#ffff00",
    accent="#ffff00",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#000000",
    success="#00ff00",
    warning="#ffff00",
    error="#ff5555",
    dark=True,
    text_alpha=1.0,
    variables={
        "footer-key-foreground": "#ffff00",
        "block-cursor-text-style": "bold reverse",
        "muted": "#ffffff",
        "cursor": "#0000d7",
        "border": "#ffffff",
    },
)
THEMES: Final = (DARK, LIGHT, CONTRAST)
