"""Secrets that were found once are found again where their names do not stand."""

import time

from hypothesis import given
from hypothesis import strategies as st

from hookgate.audit.known import Known


def known(*secrets: str) -> Known:
    found = Known()
    for number, secret in enumerate(secrets):
        found.add(secret, f"<{number}>")
    return found


def replaced(text: str, *secrets: str) -> str:
    return known(*secrets).replaced(text, lambda mark: mark)


def test_a_secret_is_found_within_a_text_in_any_letters() -> None:
    assert replaced("at hunTER22.example", "Hunter22") == "at <0>.example"


def test_a_short_one_only_as_the_whole_text() -> None:
    assert replaced("rows", "rows") == "<0>"
    assert replaced("browse", "rows") == "browse"
    assert replaced("abc", "abc") == "abc"


def test_the_words_of_a_long_one_are_found_alone() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\\nBKcwggSjAgEAAoIB"
    for word in ("MIIEvQIBADANBgkq", "hkig9w0baqefaasc", "BKcwggSjAgEAAoIB"):
        assert replaced(f"run {word}", key) == "run <0>"


def test_of_two_that_begin_alike_the_longer_is_taken() -> None:
    assert replaced("secretive", "secret", "secretive") == "<1>"


def test_of_a_very_long_one_nothing_is_left() -> None:
    assert replaced("x " + "k" * 5003 + " y", "k" * 5000) == "x [redacted] y"


@given(st.lists(st.text(), max_size=30), st.text())
def test_whatever_secrets_and_texts_there_are_each_is_taken_and_none_stays(secrets: list[str], around: str) -> None:
    found = known(*secrets)
    for secret in secrets:
        text = f"{around} {secret}".encode("utf-8", "backslashreplace").decode("utf-8")
        if 6 <= len(secret) <= 200 and secret.isascii():
            assert found.in_text(text)
            assert secret not in found.replaced(text, lambda mark: "\ue000")


def test_very_many_very_long_ones_are_bounded() -> None:
    begun = time.process_time()
    found = known(*(f"{number:05}" + "s" * 3000 for number in range(1000)))
    assert found.in_text("00001" + "s" * 3000)
    assert time.process_time() - begun < 5
