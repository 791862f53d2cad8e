"""`hookgate token`: made, listed, revoked; and its faults are one line each."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from hookgate.commands import app
from hookgate.identity.tokens import digest_of, parse_tokens


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["token", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_a_token_is_shown_once_listed_without_its_secret_and_revoked(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    code, text, told = run(
        "create", "--file", str(file), "--user", "ci", "--role", "b", "--role", "a", "--expires", "4w"
    )
    assert code == 0
    text = text.strip()
    ((identity, token),) = parse_tokens(file.read_bytes()).items()
    assert text.startswith(f"hgt_{identity}_")
    assert (token.sha256, token.user, token.roles) == (digest_of(text), "ci", ("a", "b"))
    assert token.expires is not None
    assert (token.expires - token.created).days == 28
    assert identity in told
    code, listed, _ = run("list", "--file", str(file))
    assert code == 0
    assert identity in listed
    assert "a, b" in listed
    assert text not in listed + told + file.read_text()
    assert token.sha256 not in listed
    assert run("revoke", identity, "--file", str(file))[0] == 0
    assert parse_tokens(file.read_bytes()) == {}
    code, _, told = run("revoke", identity, "--file", str(file))
    assert (code, told.count("\n")) == (1, 1)


def test_the_file_is_the_one_that_a_configuration_names(tmp_path: Path) -> None:
    file, config = tmp_path / "tokens.json", tmp_path / "hookgate.yaml"
    config.write_text(
        f"pdp: {{address: 'unix:/x'}}\nidentity:\n  sources:\n    - {{type: token, file: {file}}}\n    - type: default\n"
    )
    assert run("create", "--file", str(file), "--user", "ci", "--expires", "never")[0] == 0
    assert "for ever" in run("list", "--config", str(config))[1]
    config.write_text("pdp: {address: 'unix:/x'}\n")
    assert "none of type token" in run("list", "--config", str(config))[2]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["create", "--user", "ci"], "name the token file with --file"),
        (["create", "--user", "ci", "--file", "/none/x"], "/none/x: No such file"),
        (["create", "--user", "ci", "--file", "{}", "--expires", "soon"], "--expires: expected 12h"),
        (["create", "--user", " ", "--file", "{}"], "is blank"),
        (["create", "--user", "al\u200bex", "--file", "{}"], "nobody sees"),
        (["create", "--user", "ci", "--role", "x" * 300, "--file", "{}"], "longer than 256"),
        (["list", "--file", "{broken}"], "is no token file"),
        (["list", "--config", "/none.yaml"], "can't be read"),
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path: Path, arguments: list[str], says: str) -> None:
    (tmp_path / "broken").write_text("{")
    places = {"{}": str(tmp_path / "t.json"), "{broken}": str(tmp_path / "broken")}
    code, out, told = run(*(places.get(argument, argument) for argument in arguments))
    assert (code, out, told.count("\n")) == (1, "", 1)
    assert says in told
