"""`hookgate fleet` over the store of a real collector."""

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from hookgate.commands import app


def said(store: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["fleet", "--store", str(store), *arguments])


def test_every_machine_is_told_with_what_is_known_of_it(store: Path) -> None:
    result = said(store, "--json")
    assert result.exit_code == 5, result.output
    rows = {row["name"]: row for row in map(json.loads, result.stdout.splitlines())}
    assert {name: row["marks"] for name, row in rows.items()} == {
        "c-cheat": ["foreign"],
        "b-behind": ["unasked", "other_policies"],
        "a-well": [],
    }
    assert next(iter(rows)) == "c-cheat"
    well = rows["a-well"]
    assert (well["version"], well["policies"], well["mode"]) == ("0.1.0", "new", "enforce")
    assert (well["seq"], well["verified_seq"], well["unasked"]) == (6, 6, 0)
    assert rows["b-behind"]["unasked"] == 1
    assert rows["c-cheat"]["findings"] == {"foreign_instance": 1}
    (told,) = rows["c-cheat"]["told"]
    assert (told["kind"], told["seq"], told["detail"]) == ("foreign_instance", 1, "the record is another journal's")
    assert "line 1: the record is another journal's" in said(store, "--findings").stdout


def test_filters_choose_machines_and_the_end_goes_by_those_that_are_shown(store: Path) -> None:
    result = said(store, "--is", "other_policies")
    assert result.exit_code == 0, result.output
    assert "b-behind" in result.stdout
    assert "a-well" not in result.stdout
    assert "c-cheat" not in said(store, "--name", "WELL").stdout
    assert "a-well" not in said(store, "--attention").stdout
    assert "none of 3 machines" in said(store, "--name", "nobody").output


def test_who_never_enrolled_is_told_by_an_inventory(store: Path, tmp_path: Path) -> None:
    inventory = tmp_path / "mdm.csv"
    inventory.write_text("Computer Name,User\na-well,alex\nd-new,\x1b[1mkim\n")
    result = said(store, "--expected", str(inventory), "--is", "never_enrolled")
    assert result.exit_code == 0, result.output
    assert "d-new" in result.stdout
    assert "\x1b[1mkim" not in result.stdout
    broken = said(store, "--expected", str(tmp_path / "none.csv"))
    assert broken.exit_code == 1
    assert "none.csv: No such file" in broken.output


def test_a_store_without_a_fleet_says_so(tmp_path: Path) -> None:
    result = said(tmp_path / "none.sqlite")
    assert result.exit_code != 0
    assert "none.sqlite" in result.output
