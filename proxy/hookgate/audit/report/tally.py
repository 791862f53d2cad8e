"""Counting names that anybody may make up, in bounded memory."""

from collections import Counter

from hookgate.audit.store.question import Count

#: Different names that are told apart; further ones are counted together.
_MOST_NAMES = 20_000
_NAME_CHARACTERS = 200
OTHERS = "(others, not told apart)"


class Tally:
    """How often each name occurs."""

    def __init__(self, most: int = _MOST_NAMES) -> None:
        self._most = most
        self._counts: Counter[str] = Counter()
        self._others = 0
        self.total = 0

    def add(self, name: str, count: int = 1) -> None:
        """Counts a name."""
        self.total += count
        name = name[:_NAME_CHARACTERS]
        if name in self._counts or len(self._counts) < self._most:
            self._counts[name] += count
        else:
            self._others += count

    def __len__(self) -> int:
        """Gives how many names were told apart."""
        return len(self._counts)

    def top(self, most: int = 20) -> tuple[Count, ...]:
        """Gives the names that occur most, by count, then by name."""
        ranked = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))[:most]
        found = [Count(name=name, count=count) for name, count in ranked]
        if self._others:
            found.append(Count(name=OTHERS, count=self._others))
        return tuple(found)
