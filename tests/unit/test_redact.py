"""Secrets leave no trace in what is written."""

import random
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookgate.audit.record import Record, ServiceRecord
from hookgate.audit.redact import CUT_CHARACTERS, Redactor
from hookgate.audit.scribe import Scribe
from hookgate.audit.secrets import FORMS

REDACTOR = Redactor(b"k" * 32)
_RANDOM = random.Random(7)
_ALNUM = string.ascii_letters + string.digits


def some(length: int, alphabet: str = _ALNUM) -> str:
    """Gives text that looks random; secrets are made here, so that none stands in the repository."""
    return "".join(_RANDOM.choices(alphabet, k=length))


def _hex(length: int) -> str:
    return some(length, "0123456789abcdef")


#: (how a secret is given, the part that must not be written).
PLANTED: dict[str, tuple[str, str]] = {
    name: (form.format(secret), secret)
    for name, form, secret in [
        ("aws key id", "aws s3 ls --profile {}", "AKIA" + some(16, string.ascii_uppercase)),
        ("aws secret", "export AWS_SECRET_ACCESS_KEY={}", some(40)),
        ("github", "git clone with {}", "ghp_" + some(36)),
        ("github fine", "{}", "github_pat_" + some(40)),
        ("gitlab", "curl x?private={}", "glpat-" + some(20)),
        ("slack", "post {}", "xoxb-" + some(24)),
        ("slack hook", "curl https://hooks.slack.com/services/{}", "T0/B0/" + some(24)),
        ("discord", "https://discord.com/api/webhooks/{}", "123456789/" + some(40)),
        ("telegram", "bot {}", "123456789:AA" + some(33)),
        ("anthropic", "{}", "sk-ant-" + some(40)),
        ("openai", "key is {}", "sk-proj-" + some(40)),
        ("stripe", "{}", "sk_live_" + some(24)),
        ("google", "{}", "AIza" + some(35)),
        ("google oauth", "{}", "ya29." + some(40)),
        ("npm", "//registry:_authToken={}", "npm_" + some(36)),
        ("pypi", "twine {}", "pypi-" + some(60)),
        ("docker", "{}", "dckr_pat_" + some(27)),
        ("hugging face", "{}", "hf_" + some(34)),
        ("sendgrid", "{}", "SG." + some(22) + "." + some(43)),
        ("mailgun", "{}", "key-" + _hex(32)),
        ("twilio", "{}", "SK" + _hex(32)),
        ("shopify", "{}", "shpat_" + _hex(32)),
        ("digitalocean", "{}", "dop_v1_" + _hex(64)),
        ("databricks", "{}", "dapi" + _hex(32)),
        ("linear", "{}", "lin_api_" + some(40)),
        ("notion", "{}", "ntn_" + some(43)),
        ("figma", "{}", "figd_" + some(40)),
        ("new relic", "{}", "NRAK-" + some(27, string.ascii_uppercase)),
        ("grafana", "{}", "glsa_" + some(40)),
        ("vault", "{}", "hvs." + some(24)),
        ("terraform", "{}", some(14) + ".atlasv1." + some(60)),
        ("planetscale", "{}", "pscale_tkn_" + some(43)),
        ("supabase", "{}", "sbp_" + _hex(40)),
        ("jwt", "curl -H x:{}", "eyJ" + some(20) + ".eyJ" + some(20) + "." + some(30)),
        ("age", "{}", "AGE-SECRET-KEY-1" + some(58, string.ascii_uppercase)),
        ("pem", "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----", some(64)),
        ("pem without end", "-----BEGIN PRIVATE KEY-----\n{}", some(64)),
        ("openssh", "-----BEGIN OPENSSH PRIVATE KEY-----\\n{}", some(64)),
        ("azure account", "AccountName=x;AccountKey={};", some(60)),
        ("azure sas", "https://x.blob/y?sv=1&sig={}", some(43)),
        ("signed url", "https://b.s3/y?X-Amz-Signature={}", _hex(64)),
        ("url", "psql postgres://bob:{}@db/x", some(12)),
        ("basic auth", "Authorization: Basic {}", some(24)),
        ("bearer", "curl -H 'Authorization: Bearer {}' x", some(32)),
        ("json header", '{{"Authorization": "token {}"}}', some(32)),
        ("cookie", "Cookie: session={}", some(32)),
        ("curl -u", "curl -u bob:{} https://x", some(12)),
        ("netrc", "machine x login bob password {}", some(12)),
        ("option", "mysql --password {} -u root", some(12)),
        ("option =", "tool --api-key={}", some(12)),
        ("quoted", 'DB_PASSWORD="{}" ./run', some(6) + " " + some(6)),
        ("yaml", "client_secret: {}", some(24)),
        ("json", '{{"apiKey": "{}"}}', some(24)),
        ("here-document", "cat <<EOF > .env\nMY_TOKEN={}\nEOF", some(24)),
        ("ruby hash", ":password => '{}'", some(14)),
    ]
}


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


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.kind)
def test_doubling_the_text_at_most_doubles_the_time_of_each_form(form: object) -> None:
    """RE2 is linear by construction; this holds the patterns to it, and the replacement around them."""
    import re2

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
