"""Secrets leave no trace in what is written."""

import time

import msgspec
import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from hookgate.audit.digest import Digests, Purpose
from hookgate.audit.record import Record, ServiceRecord
from hookgate.audit.redact import CUT_CHARACTERS, Redactor
from hookgate.audit.scribe import Scribe
from hookgate.audit.secrets import FORMS, named_forms
from hookgate.config.audit import Redaction, SecretForm
from hookgate.facts import facts_of
from hookgate.hooks.decode import Read
from hookgate.hooks.event import event_from
from tests.conftest import payload
from tests.support.planted import PLANTS

KEY = b"k" * 32
REDACTOR = Redactor(KEY)

#: How a secret is given, and the part that must not be written.
PLANTED: dict[str, tuple[str, str]] = {plant.kind: (plant.text, plant.secret) for plant in PLANTS}


@pytest.fixture(params=PLANTED, ids=str)
def planted(request: pytest.FixtureRequest) -> tuple[str, str]:
    return PLANTED[request.param]


def test_a_planted_secret_is_replaced(planted: tuple[str, str]) -> None:
    text, secret = planted
    found = REDACTOR.text(text)
    assert secret not in found
    assert "[redacted:" in found


def test_a_planted_secret_is_in_no_field_of_a_record(planted: tuple[str, str]) -> None:
    text, secret = planted
    record = Record(
        id="i",
        time="t",
        outcome="deny",
        mode="enforce",
        user=text,
        roles=(text,),
        cwd=text,
        session_id=text,
        input={"command": text, "nested": [{"deep": text}], text: "as a key"},
        facts={"paths": [{"path": text}]},
        reason=text,
        error_detail=text,
        answer={"hookSpecificOutput": {"permissionDecisionReason": text}},
        would_answer={"reason": text},
    )
    line, clean = Scribe(REDACTOR).decision(record)
    for piece in (secret, *secret.split("\n")):
        assert piece.encode() not in line
    assert secret not in repr(clean)
    service = ServiceRecord(type="canary", id="i", time="t", detail={"faults": [text]})
    assert secret.encode() not in Scribe(REDACTOR).service(service)


def test_a_secret_on_the_cut_leaves_no_half(planted: tuple[str, str]) -> None:
    text, secret = planted
    for before in range(CUT_CHARACTERS - len(text) - 2, CUT_CHARACTERS + 2, 7):
        found = REDACTOR.text("x" * (before - 1) + "\n" + text + " " + "y" * 9000)
        assert secret not in found
        assert secret[: max(8, len(secret) // 2)] not in found


def test_equal_secrets_are_recognised_and_other_keys_give_other_marks() -> None:
    text, _ = PLANTED["github"]
    assert REDACTOR.text(text) == REDACTOR.text(text)
    assert REDACTOR.text(text) != Redactor(b"q" * 32).text(text)


@pytest.mark.parametrize(
    "name", ["password", "client_secret", "apiKey", "api_key", "Authorization", "accessToken", "DB_PASSWORD"]
)
def test_a_field_with_a_secret_name_is_replaced_whole(name: str) -> None:
    assert REDACTOR.redacted({"x": {name: "plain words"}})["x"][name].startswith("[redacted:named:")


@pytest.mark.parametrize(
    "text",
    [
        "git status --short",
        "max_tokens: 100",
        "the token bucket algorithm",
        "TOKEN=$TOKEN ./run",
        "pytest -q tests/unit/test_tokens.py",
        "ls -u /tmp",
        "https://example.org/a:b@c",
        "docker run --rm -p 80:80 nginx",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert REDACTOR.text(text) == text


def test_private_use_characters_hide_nothing() -> None:
    text, secret = PLANTED["bearer"]
    assert secret not in REDACTOR.text(f"\ue000{text}\ue001 password=\ue000{secret}\ue001")


@given(st.text(max_size=300))
def test_any_text_is_taken_and_a_second_pass_changes_nothing_more(text: str) -> None:
    once = REDACTOR.text(text)
    assert isinstance(once, str)


@pytest.mark.parametrize("form", [*FORMS, *named_forms(["badge", "x-key"])], ids=lambda form: form.kind)
def test_doubling_the_text_at_most_doubles_the_time_of_each_form(form: object) -> None:
    """RE2 is linear by construction; this holds the patterns to it, and the replacement around them."""
    pattern = re2.compile(form.pattern)  # type: ignore[attr-defined]

    def seconds(text: str) -> float:
        best = 1.0
        for _ in range(3):
            begun = time.perf_counter()
            pattern.search(text)
            best = min(best, time.perf_counter() - begun)
        return best

    for seed in ("A", "a:", "password=", "=", "-u a:", "eyJ.", "://a:", "token "):
        short = seed * (40_000 // len(seed))
        assert seconds(short * 2) < 8 * seconds(short) + 0.01


def test_a_record_that_holds_no_secret_and_is_short_is_written_as_it_is() -> None:
    record = Record(id="i", time="t", outcome="allow", mode="enforce", input={"command": "git status"})
    line, clean = Scribe(REDACTOR).decision(record)
    assert clean is record
    assert b'"command":"git status"' in line


def test_text_without_a_utf8_form_is_written_with_marks() -> None:
    record = Record(id="i", time="t", outcome="allow", mode="enforce", input={"command": "a\udcffb"})
    line, _ = Scribe(REDACTOR).decision(record)
    assert b"\\udcff" in line


def test_a_text_that_is_nothing_but_secrets_is_left_out_so_that_none_holds_up_other_decisions() -> None:
    text = ("pwd=a " * 2000)[:6000]
    assert REDACTOR.redacted({"input": [text] * 11})["input"] == ["(left out)"] * 11
    few = REDACTOR.redacted({"input": ["pwd=secret1 pwd=secret2"]})["input"][0]
    assert few.count("[redacted:named:") == 2


def test_a_call_with_very_many_strings_still_has_its_answer_in_the_record() -> None:
    record = Record(
        id="i",
        time="t",
        outcome="deny",
        mode="enforce",
        input={"list": [f"value {i}" for i in range(20_000)]},
        body_bytes=300_000,
        answer={"reason": "because"},
    )
    _, clean = Scribe(REDACTOR).decision(record)
    assert clean.answer == {"reason": "because"}
    assert clean.input["list"][-1] == "(left out)"


def test_a_secret_is_seen_in_an_encoded_record_too(planted: tuple[str, str]) -> None:
    text, _ = planted
    assert REDACTOR.suspects(msgspec.json.encode({"input": {"command": text}}))
    assert REDACTOR.suspects(msgspec.json.encode({"input": {"text": msgspec.json.encode({"a": text}).decode()}}))


def test_facts_tell_no_secret_that_stands_in_the_input() -> None:
    command = "send --badge-no 98765432 --token abcdefgh12 -v; mysql -ps3CRet77 -u me; curl http://x.example/?token=abcdefgh12"
    body = payload("PreToolUse.Bash", tool_input={"command": command})
    facts = msgspec.to_builtins(facts_of(event_from(Read(body, False, ()))))
    before = {"input": {"command": command}, "facts": facts, "reason": "never send 98765432", "tool": "98765432"}
    found = Redactor(KEY, Redaction(names=("badge",))).redacted(before)
    text = msgspec.json.encode(found["facts"]).decode()
    for secret in ("98765432", "abcdefgh12", "s3CRet77"):
        assert secret not in text
    send, mysql = found["facts"]["commands"][:2]
    # Their digests tell that they are the same.
    assert [mark.rpartition(":")[2] for mark in send["operands"]] == [
        mark.rpartition(":")[2] for mark in (send["args"][1], send["args"][3])
    ]
    assert mysql["flags"] == ["-p", "-u"]
    assert "98765432" not in found["reason"]
    # What a call is cannot be hidden by giving it out as a secret.
    assert found["tool"] == "98765432"


@pytest.mark.parametrize(
    "before", ["", ("echo " + "p" * 300 + "\n") * 40], ids=["at the beginning", "behind what is kept"]
)
@pytest.mark.parametrize(
    "line", ["curl -u bob:s3CRet77xyz https://x.example", "-----BEGIN PRIVATE KEY-----\ns3CRet77xyzQ"]
)
def test_facts_of_a_long_command_tell_no_secret_either(line: str, before: str) -> None:
    body = payload("PreToolUse.Bash", tool_input={"command": f"{before}{line}\n" + ("echo " + "p" * 300 + "\n") * 40})
    facts = msgspec.to_builtins(facts_of(event_from(Read(body, False, ()))))
    assert "s3cret77xyz" in msgspec.json.encode(facts).decode().lower()
    record = Record(
        id="x",
        time="t",
        outcome="allow",
        mode="enforce",
        input=body["tool_input"],
        facts=facts,
        body_bytes=len(str(body)),
    )
    assert b"s3cret77xyz" not in Scribe(REDACTOR).decision(record)[0].lower()


def test_an_option_in_a_list_of_words_hides_its_value() -> None:
    words = ["mysql", "--db-password", "hunter2", "-u", "root", "--user", "bob"]
    found = REDACTOR.redacted({"input": {"args": words}})["input"]["args"]
    assert found[2].startswith("[redacted:named:")
    assert found[:2] + found[3:] == words[:2] + words[3:]


@pytest.mark.parametrize("name", ["name", "key"])
def test_a_member_that_names_a_secret_hides_the_value_beside_it(name: str) -> None:
    found = REDACTOR.redacted(
        {"input": {"env": [{name: "DB_PASSWORD", "value": "hunter2"}, {name: "A", "value": "b"}]}}
    )
    assert found["input"]["env"][0]["value"].startswith("[redacted:named:")
    assert found["input"]["env"][1] == {name: "A", "value": "b"}


def test_all_texts_below_a_secret_name_are_hidden() -> None:
    found = REDACTOR.redacted({"input": {"credentials": {"who": "bob", "what": ["hunter2", {"x": "y"}], "n": True}}})
    assert found["input"]["credentials"]["n"] is True
    assert [word for word in ("bob", "hunter2", '"y"') if word in str(found).replace("'", '"')] == []


def test_half_a_secret_at_the_end_of_what_is_looked_at_is_not_shown_either() -> None:
    """Text that shrinks by what is taken out of it would draw the window's end before the cut."""
    key = "-----BEGIN PRIVATE KEY-----\n" + "A" * 4000 + "\n-----END PRIVATE KEY-----\n"
    for before in range(1900, 2100):
        text = key + "x" * before + " postgres://bob:hunter2isverylong@db/x " + "z" * 9000
        found = REDACTOR.text(text)
        assert "hunter2" not in found
        assert found.startswith("[redacted:private_key:")


def test_a_cut_text_says_how_long_it_was_and_has_a_digest_of_the_whole() -> None:
    text = "long " * 1000
    digest = Digests(KEY).of(Purpose.TEXT, text.encode())[:32]
    cut: list[str] = []
    found = REDACTOR.redacted({"reason": text, "cwd": "/"}, cut)
    assert found["reason"] == f"{text[:CUT_CHARACTERS]}… (cut, {len(text)} characters, {digest})"
    assert cut == ["reason"]


def test_a_record_names_the_fields_that_were_cut() -> None:
    record = Record(
        id="i", time="t", outcome="deny", mode="enforce", input={"a": "x" * 9000}, reason="r" * 9000, cut=("labels",)
    )
    _, clean = Scribe(REDACTOR).decision(record)
    assert clean.cut == ("labels", "input", "reason")


class TestOnesOwn:
    """Names and forms of secrets that are configured."""

    OWN = Redactor(
        KEY,
        Redaction(
            names=("badge", "x-acme id"),
            forms=(
                SecretForm(kind="acme", pattern="ACME-([0-9]{6})"),
                SecretForm(kind="block", pattern=r"(?s)<<SECRET.*?SECRET>>"),
                SecretForm(kind="not_upper", pattern="q[^a-z]{4}q"),
            ),
        ),
    )

    @pytest.mark.parametrize(
        ("text", "secret"),
        [
            ("send ACME-123456 now", "123456"),
            ("<<SECRET one\ntwo SECRET>>", "two"),
            ("x qABCDq y", "ABCD"),
            ("--my-badge 4711x", "4711x"),
            ("MY_BADGE=4711x", "4711x"),
            ('{"Badge_No": "4711x"}', "4711x"),
            ("X-Acme ID: 4711x", "4711x"),
        ],
    )
    def test_a_secret_of_ones_own_is_replaced(self, text: str, secret: str) -> None:
        record = Record(id="i", time="t", outcome="allow", mode="enforce", input={"command": text})
        line, _ = Scribe(self.OWN).decision(record)
        assert secret.encode() not in line
        assert b"[redacted:" in line
        assert secret.encode() in Scribe(REDACTOR).decision(record)[0]

    def test_a_field_is_replaced_for_a_part_of_its_name(self) -> None:
        found = self.OWN.redacted({"input": {"theBadgeOf": "bob", "badge": 4711}})["input"]
        assert [str(value)[:10] for value in found.values()] == ["[redacted:"] * 2

    def test_a_secret_that_goes_over_the_cut_is_replaced_whole(self) -> None:
        text = "x" * 1990 + " <<SECRET " + "s" * 20_000 + " SECRET>> " + "y" * 50_000
        assert "sss" not in self.OWN.text(text)

    def test_a_known_form_is_still_known(self, planted: tuple[str, str]) -> None:
        text, secret = planted
        assert secret not in self.OWN.text(text)

    def test_doubling_the_text_at_most_doubles_the_time(self) -> None:
        def seconds(text: str) -> float:
            best = 1.0
            for _ in range(3):
                begun = time.perf_counter()
                slow.text(text)
                best = min(best, time.perf_counter() - begun)
            return best

        slow = Redactor(KEY, Redaction(forms=(SecretForm(kind="slow", pattern="(a*)*(a*)*(a*)*b"),)))
        assert seconds("a" * 30_000) < 8 * seconds("a" * 15_000) + 0.01


@given(st.text(max_size=300))
def test_a_text_of_ones_own_is_taken_whatever_it_is(text: str) -> None:
    assert isinstance(TestOnesOwn.OWN.text(text), str)


@pytest.mark.parametrize("source", ["jwt", "token", "mtls", "header"])
def test_how_a_caller_was_verified_makes_no_record_suspicious(source: str) -> None:
    record = Record(id="i", time="t", outcome="allow", mode="enforce", user="alex", source=source, verified=True)
    assert not REDACTOR.suspects(msgspec.json.encode(record))
    line, kept = Scribe(REDACTOR).decision(record)
    assert kept is record
    assert msgspec.json.decode(line, type=Record) == record


@pytest.mark.parametrize("source", ["jwt", "token", "header"])
def test_a_secret_is_seen_beside_how_a_caller_was_verified(planted: tuple[str, str], source: str) -> None:
    text, _ = planted
    for told in ({"command": text}, {"source": text}, {"source": "jwt", "jwt": text}):
        record = Record(id="i", time="t", outcome="allow", mode="enforce", source=source, verified=True, input=told)
        assert REDACTOR.suspects(msgspec.json.encode(record))


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(["jwt", "token"]))
def test_the_short_look_at_a_verified_record_finds_what_the_long_one_does(user: str, command: str, source: str) -> None:
    def written(source: str) -> bytes:
        given_input = {"command": command, "source": source}
        record = Record(
            id="i",
            time="t",
            outcome="allow",
            mode="enforce",
            user=user,
            source=source,
            verified=True,
            input=given_input,
        )
        try:
            return Scribe(REDACTOR).decision(record)[0]
        except UnicodeEncodeError:
            return b""

    clean = REDACTOR.redacted({"user": user, "input": {"command": command, "source": source}})
    line = written(source)
    if line:
        found = msgspec.json.decode(line)
        assert (found["user"], found["input"]) == (clean["user"], clean["input"])
