"""Recorded text made safe to show: it may come from an attacker, and a terminal obeys what it is sent."""

import unicodedata

#: Cc: control characters (escape sequences begin with one). Cf: bidirectional overrides, zero-width and tag characters.
#: Cs: surrogates. Co: private use. Cn: not assigned, so nobody knows what a newer terminal makes of it. Zl and Zp end lines.
_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def harmless(text: str, characters: int = 0) -> str:
    r"""Gives the text on one line, unsafe characters written as `\u{…}`, cut to so many characters (0: not cut)."""
    if characters and len(text) > characters:
        text = text[: characters - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if unicodedata.category(char) not in _UNSAFE else _written(char) for char in text)


def _written(char: str) -> str:
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(char) or f"\\u{{{ord(char):x}}}"
