"""Decision ids (RFC 9562, 5.7)."""

import time
import uuid
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from hookgate.ids import uuid7


def test_an_id_is_a_uuid_of_version_7_in_its_canonical_form() -> None:
    for _ in range(2000):
        text = uuid7()
        found = uuid.UUID(text)
        assert (str(found), found.version, found.variant) == (text, 7, uuid.RFC_4122)


def test_ids_sort_by_their_time() -> None:
    before = time.time_ns() // 1_000_000
    ids = [uuid7() for _ in range(2000)]
    after = time.time_ns() // 1_000_000
    times = [uuid.UUID(text).int >> 80 for text in ids]
    assert times == sorted(times)
    assert before <= times[0]
    assert times[-1] <= after


def test_ids_differ() -> None:
    ids = [uuid7() for _ in range(10_000)]
    assert len(set(ids)) == len(ids)


@given(random=st.binary(min_size=10, max_size=10), millis=st.integers(0, 2**48 - 1))
def test_whatever_the_time_and_the_random_bytes_the_form_holds(random: bytes, millis: int) -> None:
    with patch("os.urandom", return_value=random), patch("time.time_ns", return_value=millis * 1_000_000):
        found = uuid.UUID(uuid7())
    assert (found.version, found.variant, found.int >> 80) == (7, uuid.RFC_4122, millis)
