"""Recorded text made safe to show: it may come from an attacker, and a terminal obeys what it is sent."""

import csv
import io
import unicodedata
from collections.abc import Iterable

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


#: What begins a formula in a spreadsheet, or is taken away before it is looked for one. U+2212 is a minus sign that no form
#: of Unicode makes an ASCII one, and that spreadsheets read as such.
_FORMULA = frozenset("=+-@\u2212")
_BEFORE_FORMULA = frozenset("\t\r\n")


def harmless_cell(text: str, characters: int = 0) -> str:
    """Gives the text for a cell of a CSV file: harmless on a terminal, and none that a spreadsheet takes for a formula.

    Such a text gets an apostrophe before it. Full-width and other forms of the characters that begin a formula count, and so
    do blanks before them.
    """
    first = unicodedata.normalize("NFKC", text.lstrip()[:1])[:1]
    begins = first in _FORMULA or text[:1] in _BEFORE_FORMULA
    return ("'" if begins else "") + harmless(text, characters)


def csv_line(cells: Iterable[str]) -> str:
    """Gives a line of CSV (RFC 4180) with its line end, every cell quoted and harmless."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerow([harmless_cell(cell) for cell in cells])
    return text.getvalue()
