"""What was seen in a period: tools and programs by role, and which calls are fit to be tests."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

#: Calls that nobody held up: what a first policy must leave as it is.
ORDINARY = frozenset({"allow", "no_match"})
EVENT = "PreToolUse"
#: Roles, tools and programs that are told apart; callers name some of them.
_MOST_ROLES, _MOST_NAMES = 50, 1000
#: A test's call is small enough to be read.
_TEST_BYTES = 4000


@dataclass(slots=True)
class Call:
    """A recorded call as a test asks about it: who, and the resource's attributes."""

    id: str
    user: str
    roles: tuple[str, ...]
    tool: str
    attributes: dict[str, Any]

    @property
    def size(self) -> int:
        """Its length as JSON, in bytes."""
        return len(msgspec.json.encode(self.attributes))


@dataclass(slots=True)
class Survey:
    """What was seen. Counts are of calls; a call of somebody with two roles counts for both."""

    calls: int = 0
    ordinary: int = 0
    #: Ordinary ones of which only metadata was recorded, so that their programs are not known.
    bare: int = 0
    #: Other ordinary ones of which a part was redacted or cut, so that their programs are not all known.
    partial: int = 0
    tools: dict[str, Counter[str]] = field(default_factory=dict)
    programs: dict[str, Counter[str]] = field(default_factory=dict)
    #: Programs with their sub-commands.
    subcommands: Counter[str] = field(default_factory=Counter)
    people: dict[str, set[str]] = field(default_factory=dict)
    examples: dict[tuple[str, str], Call] = field(default_factory=dict)
    #: There were more names than are told apart: rules by programs would ask about ordinary calls.
    too_many: bool = False

    @property
    def knows_programs(self) -> bool:
        """Whether a rule may go by programs without holding up what was ordinary."""
        return not self.too_many and not self.bare

    def saw(self, record: Mapping[str, Any], call: Call | None, *, whole: bool = True) -> None:
        """Takes a decision into account; `call` is what can be asked of it, `whole` whether all its programs are known."""
        self.calls += 1
        if record.get("outcome") not in ORDINARY:
            return
        self.ordinary += 1
        is_bare = record.get("level") == "metadata"
        self.bare += is_bare
        self.partial += not whole and not is_bare
        tool, facts = str(record.get("tool", "")), record.get("facts") or {}
        commands = [one for one in facts.get("commands", ()) if isinstance(one, dict)]
        named = {str(one.get("program", "")) for one in commands}
        for role in record.get("roles") or ():
            if not self._counts(self.tools, role, (tool,)) or not self._counts(self.programs, role, named):
                continue
            people = self.people.setdefault(role, set())
            if len(people) < _MOST_NAMES:
                people.add(str(record.get("user", "")))
            if call is not None and self._is_better(call, self.examples.get((role, tool))):
                self.examples[role, tool] = call
        for one in commands:
            name = f"{one.get('program', '')} {one.get('subcommand', '')}".strip()
            if name in self.subcommands or len(self.subcommands) < _MOST_NAMES:
                self.subcommands[name] += 1

    def _counts(self, of: dict[str, Counter[str]], role: str, names: Iterable[str]) -> bool:
        if role not in of and len(of) >= _MOST_ROLES:
            self.too_many = True
            return False
        counter = of.setdefault(role, Counter())
        for name in names:
            if name not in counter and len(counter) >= _MOST_NAMES:
                self.too_many = True
            else:
                counter[name] += 1
        return True

    @staticmethod
    def _is_better(call: Call, than: Call | None) -> bool:
        """The first that is small."""
        return than is None or (than.size > _TEST_BYTES and call.size < than.size)
