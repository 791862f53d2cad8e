"""No command line holds up the event loop, takes much memory, or makes the reading fail; and the reading is linear."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookgate.facts.shell.grammar import Budget
from tests.unit.test_facts_shell import HOSTILE, pieces, shell

ROOT = Path(__file__).resolve().parents[2]
MAX_MEGABYTES = 50

#: Each of them would fill the memory, or nest without end, if it were followed to its end.
GREEDY = {
    "doubled variable": "a=xxxxxxxx\n" + "a=$a$a\n" * 60 + "echo $a",
    "doubled array": "a=(x y z)\n" + 'a=("${a[@]}" "${a[@]}")\n' * 60 + 'echo "${a[@]}"',
    "marks of xargs": "echo " + "x" * 20_000 + " | xargs -I{} echo " + "{}" * 15_000,
    "marks of parallel": "parallel " + "{}" * 20_000 + " ::: " + "x" * 1000 + " y z",
    "marks of find": "find " + "x" * 20_000 + " -exec echo " + "{}" * 15_000 + " +",
    "long variable": "a=" + "x" * 30_000 + "\n" + "echo b$a c$a\n" * 2500,
    "range": "echo " + "{1..999999999}" * 2000,
    "braces": "echo " + "{a,b}" * 8000,
    "finds": "find . -exec " * 5000,
    "turns": "for a in " + "x " * 15 + "; do " + "for b in 1 2 3; do echo $a $b; done; " * 900 + "done",
    "wrappers": "sudo env nice " * 4000,
    "shells": "bash -c \"bash -c 'echo $(bash -c ls)'\";" * 1000,
    "substitutions": "$(a " * 300 + ")" * 300,
    "here-documents": "".join(f"cat <<E{n}\nx\nE{n}\n" for n in range(2000)),
    "quotes": "''" * 30_000,
    "aliases": "".join(f'alias a{n}="x y"; a{n}\n' for n in range(2500)),
    "pipes": "| sh\u202e" * 1500,
    "addresses": "x " + " ".join(f"https://h{n}.example/" for n in range(2500)),
    "formats": "printf '" + "%s" * 10_000 + "' " + "x " * 10_000 + "| sh",
    "long paths": "cat " + " ".join("/" + "p" * 250 + str(n) for n in range(240)),
    "code": "python -c '" + 'os.system("ls"); ' * 3000 + "'",
    "sed": "sed 's/a/b/e;" + "s/a/b/;" * 7000 + "' x",
    "awk": "awk '" + "print " * 9000 + "'",
}

#: Reads command lines from standard input, and prints how much memory each of them took beyond what was there before.
_MEASURE = """
import json, sys
from tests.unit.test_facts_shell import shell
def kilobytes(key):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(key))
shell("ls | wc")
found = {}
for name, command in json.load(sys.stdin).items():
    with open("/proc/self/clear_refs", "w") as marks:
        marks.write("5")
    before = kilobytes("VmRSS")
    facts = shell(command)
    found[name] = (kilobytes("VmHWM") - before) / 1024
print(json.dumps(found))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured by Linux's /proc")
def test_no_command_takes_more_than_50_megabytes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE],
        input=json.dumps({**{f"hostile {name}": command for name, command in HOSTILE.items()}, **GREEDY}),
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'proxy'}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = json.loads(done.stdout)
    assert len(found) == len(HOSTILE) + len(GREEDY)
    assert {name: size for name, size in found.items() if size > MAX_MEGABYTES} == {}


@pytest.mark.parametrize("name", GREEDY)
def test_what_is_greedy_ends_and_is_bounded(name: str) -> None:
    found = shell(GREEDY[name])
    assert max(len(found.commands), len(found.paths), len(found.hosts)) <= 256
    assert all(len(text) <= 4096 for command in found.commands for text in (*command.args, *command.operands))


def _nodes(command: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Gives the syntax nodes and words that the reading of a command counts."""
    counted = 0
    spend = Budget.spend

    def counting(self: Budget, nodes: int = 1) -> None:
        nonlocal counted
        counted += nodes
        spend(self, nodes)

    with monkeypatch.context() as patched:
        patched.setattr(Budget, "spend", counting)
        shell(command)
    return counted


@pytest.mark.parametrize(
    "line",
    [
        "cp -r src/a build/b && echo done",
        'for f in a b; do cat "$f" | grep x > "$f.out"; done',
        "if [ -f x ]; then rm -rf x; fi",
        "docker run --rm -v a:b image sh -c 'make test'",
        "curl -fsS https://a.example/x | jq .name",
    ],
)
def test_the_reading_is_linear(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    once, many = _nodes(f"{line}\n" * 10, monkeypatch), _nodes(f"{line}\n" * 40, monkeypatch)
    assert once < many <= 4.2 * once


more_pieces = pieces | st.sampled_from(
    ["git -c alias.x='!", "a=(x y)", '"${a[@]}"', "alias a=", "set -- ", "sed 's/a/b/e' ", "awk '{print | \"", "env -S ", "docker exec ",
     "kubectl exec ", "ssh h ", "parallel ", ":::", "coproc ", "{a,b}", "{1..9}", "case x in a) ", ";; esac", "-", "--", "*", "?", "[", "$@",
     "$0", "<<<", "<(", "flock ", "script -c ", "f() {", "hash -p ", "IFS=,;", "$IFS", "printf %s ", "crontab -", "tar --to-command=", "\ud800"]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    command=st.lists(more_pieces, max_size=50).map("".join)
    | st.lists(st.sampled_from(list(GREEDY.values())), max_size=2).map(" ".join)
)
def test_no_command_makes_the_reading_fail(command: str) -> None:
    found: dict[str, Any] = shell(command).attributes()
    assert found["opaque"] == bool(found["opaque_reasons"])
