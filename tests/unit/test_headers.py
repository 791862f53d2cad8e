"""Identity as headers tell it."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookgate.config.tree import Identity
from hookgate.errors import ErrorKind, GateError
from hookgate.identity.headers import ROLES, SCOPE, USER, principal_from, scope_from
from hookgate.identity.principal import Principal, Source

CONFIG = Identity(default_user="nobody", default_role="guest")
#: What the HTTP parser makes of a header's bytes.
header_texts = st.binary(max_size=40).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


def principal(**headers: str) -> Principal:
    names = {"user": USER, "roles": ROLES}
    return principal_from({names[key]: value for key, value in headers.items()}, CONFIG)


@pytest.mark.parametrize(
    ("headers", "user", "roles", "source"),
    [
        ({}, "nobody", ("guest",), Source.DEFAULT),
        ({"user": "", "roles": ""}, "nobody", ("guest",), Source.DEFAULT),
        ({"user": " \t", "roles": " , ,, "}, "nobody", ("guest",), Source.DEFAULT),
        ({"user": "alex"}, "alex", ("guest",), Source.HEADER),
        ({"user": " alex "}, "alex", ("guest",), Source.HEADER),
        ({"roles": "eng"}, "nobody", ("eng",), Source.HEADER),
        ({"user": "alex", "roles": "eng, admin ,eng,,Eng"}, "alex", ("Eng", "admin", "eng"), Source.HEADER),
        ({"user": "alex,admin"}, "alex,admin", ("guest",), Source.HEADER),
    ],
)
def test_a_principal_is_what_the_headers_name_and_a_blank_one_counts_as_absent(
    headers: dict[str, str], user: str, roles: tuple[str, ...], source: Source
) -> None:
    found = principal(**headers)
    assert (found.id, found.roles, found.source) == (user, roles, source)


@given(user=header_texts, roles=header_texts)
def test_whatever_headers_hold_the_pdp_gets_an_id_and_distinct_sorted_roles_or_the_call_is_refused(
    user: str, roles: str
) -> None:
    found = principal(user=user, roles=roles)
    assert found.id.strip() == found.id != ""
    assert found.roles
    assert list(found.roles) == sorted(set(found.roles))
    assert all(role.strip() == role != "" and "," not in role for role in found.roles)
    assert not found.verified
    assert found.attributes() == {"verified": False, "source": found.source.value, "claims": {}}
    for text in (found.id, *found.roles):
        text.encode("utf-8")


@given(roles=st.lists(st.text(alphabet="abc ", max_size=4), max_size=8), shuffled=st.randoms())
def test_the_order_and_the_spacing_of_roles_change_nothing(roles: list[str], shuffled: random.Random) -> None:
    other = [f" {role} " for role in roles]
    shuffled.shuffle(other)
    assert principal(roles=",".join(roles)).roles == principal(roles=", ,".join(other)).roles


def test_a_name_beyond_ascii_is_read_as_utf_8_and_else_as_latin_1() -> None:
    def sent(raw: bytes) -> str:
        return principal(user=raw.decode("utf-8", "surrogateescape")).id

    assert sent("alëx-日本".encode()) == "alëx-日本"
    assert sent(b"al\xebx-") == "alëx-"


@pytest.mark.parametrize(
    "headers",
    [{"user": "x" * 257}, {"roles": "x" * 257}, {"roles": ",".join(f"r{number}" for number in range(101))}],
)
def test_too_long_names_and_too_many_roles_are_the_callers_error(headers: dict[str, str]) -> None:
    with pytest.raises(GateError) as caught:
        principal(**headers)
    assert caught.value.kind is ErrorKind.IDENTITY_INVALID
    assert "x" * 50 not in caught.value.detail


def test_names_and_roles_up_to_their_bounds_are_taken() -> None:
    assert principal(user="x" * 256).id == "x" * 256
    assert len(principal(roles=",".join(f"{number:0256}" for number in range(100))).roles) == 100


def test_a_scope_is_the_configured_one_unless_the_header_names_one_of_the_list() -> None:
    assert scope_from({}, "acme", ()) == "acme"
    assert scope_from({SCOPE: " "}, "acme", ()) == "acme"
    assert scope_from({SCOPE: "acme"}, "acme", ()) == "acme"
    assert scope_from({SCOPE: " acme.eng "}, "acme", ("acme.eng",)) == "acme.eng"


@given(asked=header_texts)
def test_any_other_scope_is_the_callers_error(asked: str) -> None:
    if asked.strip() in ("", "acme", "acme.eng"):
        return
    with pytest.raises(GateError) as caught:
        scope_from({SCOPE: asked}, "acme", ("acme.eng",))
    assert caught.value.kind is ErrorKind.SCOPE_UNKNOWN
    caught.value.detail.encode("utf-8")
    assert "\n" not in caught.value.detail
