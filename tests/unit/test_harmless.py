"""Text of anybody's, made safe to show."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookgate.harmless import csv_line, harmless, harmless_cell

everything = st.text(alphabet=st.characters(exclude_categories=[]), max_size=30)
#: Bidirectional controls (Unicode, UAX 9), and characters without a width.
INVISIBLE = [
    *"\u200b\u200c\u200d\u2060\ufeff\u00ad\u061c\u200e\u200f",
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2066, 0x206A)),
    *map(chr, [0xE0001, *range(0xE0020, 0xE0080)]),
    # Reserved, and to be shown as nothing by whoever knows them one day.
    *map(chr, [0x2065, 0xFFF0, 0xE0002, 0xE0FFF]),
]


@given(text=everything)
def test_nothing_is_left_that_a_terminal_obeys_or_a_person_does_not_see(text: str) -> None:
    found = harmless(text)
    assert not {unicodedata.category(char) for char in found} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert len(found.splitlines()) <= 1
    found.encode("utf-8")


@pytest.mark.parametrize("char", INVISIBLE + [chr(code) for code in [*range(0x20), *range(0x7F, 0xA0)]], ids=ascii)
def test_each_control_bidirectional_and_zero_width_character_is_written_out(char: str) -> None:
    found = harmless(f"a{char}b")
    assert char not in found
    assert found.isascii()
    assert found.startswith("a\\")


@given(text=st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


@given(text=everything)
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert harmless(harmless(text)) == harmless(text)


@pytest.mark.parametrize("text", ["日本語", "é", "emoji 😀", "العربية"])
def test_text_of_any_script_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


def test_unsafe_characters_are_written_as_what_they_are() -> None:
    assert harmless("a\nb\tc\rd\x1b[31m\u202e\ud800") == "a\\nb\\tc\\rd\\u{1b}[31m\\u{202e}\\u{d800}"


@pytest.mark.parametrize(
    ("text", "characters", "found"),
    [("abcdef", 0, "abcdef"), ("abcdef", 6, "abcdef"), ("abcdef", 5, "abcd…"), ("abcdef", 1, "…"), ("", 3, "")],
)
def test_long_text_is_cut_with_a_mark(text: str, characters: int, found: str) -> None:
    assert harmless(text, characters) == found


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("  =1", "'  =1"),
        ("\t=1", "'\\t=1"),
        ("\rx", "'\\rx"),
        ("\uff1d1", "'\uff1d1"),
        ("\u22121", "'\u22121"),
        ("\u200b=1", "\\u{200b}=1"),
        ("a=1", "a=1"),
        ("\x1b[31m", "\\u{1b}[31m"),
        ("", ""),
    ],
)
def test_a_cell_is_no_formula(text: str, cell: str) -> None:
    assert harmless_cell(text) == cell


def test_a_line_of_csv_has_every_cell_quoted() -> None:
    assert csv_line(['a"b', "c,d", "e\nf", ""]) == '"a""b","c,d","e\\nf",""\r\n'
