"""Identity as headers tell it."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from hookgate.config.identity import Identity
from hookgate.errors import ErrorKind, GateError
from hookgate.identity.chain import Chain
from hookgate.identity.connection import UNKNOWN
from hookgate.identity.fields import field
from hookgate.identity.headers import ROLES, SCOPE, USER, labels_from, scope_from
from hookgate.identity.principal import Principal, Source

CONFIG = Identity(default_user="nobody", default_role="guest")
#: What the HTTP parser makes of a header's bytes.
header_texts = st.binary(max_size=40).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


def principal(**headers: str) -> Principal:
    names = {"user": USER, "roles": ROLES}
    told = {names[key]: value for key, value in headers.items()}
    return asyncio.run(Chain(CONFIG).principal(told, UNKNOWN))


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
    try:
        found = principal(user=user, roles=roles)
    except GateError as error:
        assert error.kind is ErrorKind.IDENTITY_INVALID  # noqa: PT017 (either is right)
        assert len(user) < 3 or user not in error.detail  # noqa: PT017 (either is right)
        return
    assert found.id.strip() == found.id != ""
    assert found.roles
    assert list(found.roles) == sorted(set(found.roles))
    assert all(role.strip() == role != "" and "," not in role for role in found.roles)
    assert not found.verified
    assert found.attributes() == {
        "verified": False,
        "source": found.source.value,
        "claims": {},
        "groups": [],
        "attributes": {},
    }
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
    # A lone byte that is no UTF-8 may still be a space, as Latin-1.
    readings = {asked.strip(), asked.encode("utf-8", "surrogateescape").decode("latin-1").strip()}
    if not readings.isdisjoint(("", "acme", "acme.eng")):
        return
    with pytest.raises(GateError) as caught:
        scope_from({SCOPE: asked}, "acme", ("acme.eng",))
    assert caught.value.kind is ErrorKind.SCOPE_UNKNOWN
    caught.value.detail.encode("utf-8")
    assert "\n" not in caught.value.detail


def test_labels_are_what_follows_in_the_headers_name_in_lower_case() -> None:
    found = labels_from({"X-Claude-Label-Team": " core ", "x-claude-label-ci-job": "7", "X-Claude-User": "alex"})
    assert (found.values, found.cut) == ({"team": "core", "ci-job": "7"}, False)


def test_labels_are_bounded_and_none_is_cut_in_the_middle() -> None:
    many = {f"X-Claude-Label-{number}": "v" for number in range(20)}
    found = labels_from(many)
    assert (list(found.values), found.cut) == ([str(number) for number in range(16)], True)
    long = labels_from(
        {"X-Claude-Label-a": "x" * 257, "X-Claude-Label-b": "x" * 256, f"X-Claude-Label-{'n' * 65}": "v"}
    )
    assert long.values == {"a": "(left out, 257 characters)", "b": "x" * 256}
    assert long.cut


def test_labels_without_name_or_text_are_none_and_the_first_of_one_name_counts() -> None:
    headers = {"X-Claude-Label-": "v", "X-Claude-Label-a": " ", "X-Claude-Label-B": "1", "x-claude-label-b": "2"}
    found = labels_from(headers)
    assert (found.values, found.cut) == ({"b": "1"}, False)


@given(header_texts)
def test_any_label_can_be_written(text: str) -> None:
    for value in labels_from({"X-Claude-Label-a": text}).values.values():
        value.encode()


class _Slowly:
    """The same fields, to be looked through one by one."""

    def __init__(self, fields: CIMultiDict[str]) -> None:
        self.items = fields.items


@given(
    st.lists(st.tuples(st.sampled_from([USER, USER.lower(), USER.upper(), ROLES, "X-Claude-Use", "x"]), header_texts)),
    st.booleans(),
)
def test_a_field_that_the_headers_find_themselves_is_the_one_that_a_search_finds(
    fields: list[tuple[str, str]], proxied: bool
) -> None:
    headers = CIMultiDict(fields)

    def found(where: object) -> str | None:
        try:
            return field(where, USER)  # type: ignore[arg-type]
        except GateError as error:
            return error.detail

    assert found(CIMultiDictProxy(headers) if proxied else headers) == found(_Slowly(headers))
