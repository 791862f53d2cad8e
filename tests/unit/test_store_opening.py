"""What names a store, and is none: told in one line that repeats no password."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from hookgate.audit.store.opening import open_store
from hookgate.audit.store.question import StoreError
from hookgate.commands import app

PASSWORD = "s3cretpw"


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://u:{PASSWORD}@h/db",
        f"mysql+pymysql:u:{PASSWORD}@h/db",
        f"postgresql:u:{PASSWORD}@h/db",
        f"postgresql:/u:{PASSWORD}@h/db",
        f"u:{PASSWORD}@h/db",
        f"//u:{PASSWORD}@h/db",
        f"mysql://h/db?password={PASSWORD}",
    ],
)
def test_a_url_of_another_kind_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(StoreError, match="expected postgresql://") as refused:
        open_store(url)
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize("rest", ["[bad/db", "h:99999/db", "h:x/db"])
@pytest.mark.parametrize("scheme", ["postgresql", "POSTGRESQL", "postgres"])
def test_a_url_that_cannot_be_read_is_refused_in_one_line(scheme: str, rest: str) -> None:
    found = CliRunner().invoke(app, ["audit", "stats", "--store", f"{scheme}://u:{PASSWORD}@{rest}"])
    assert found.exit_code == 1
    (line,) = found.output.splitlines()
    assert line.startswith("hookgate: the store's URL can't be read: expected postgresql://USER:PASSWORD@HOST:PORT/")
    assert PASSWORD not in line


def test_the_scheme_of_a_url_is_known_in_any_case() -> None:
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1/db") as refused:
        open_store(f"POSTGRESQL://u:{PASSWORD}@127.0.0.1:1/db")
    assert PASSWORD not in str(refused.value)


def test_a_directory_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"^{tmp_path}: a directory: name the store's file in it$"):
        open_store(str(tmp_path))


def test_a_path_may_have_a_colon_and_an_at_sign(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store there"):
        open_store(str(tmp_path / "a:b@c"))
