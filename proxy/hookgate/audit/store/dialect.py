"""What differs between the databases when they are asked the same."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

Row = Sequence[Any]


class Database(Protocol):
    """A database open for reading; its methods raise StoreError."""

    def mark(self, number: int) -> str:
        """Gives what stands for a statement's value of that number, from 1 on."""

    def among(self, column: str, number: int) -> str:
        """Gives the condition that a text is in the list that is the value of that number."""

    def holds(self, column: str, number: int) -> str:
        """Gives the condition that a text has a part, which is the value of that number."""

    def like(self, column: str, number: int, text: str) -> tuple[str, str]:
        """Gives the condition that a text has a part, in upper or lower case, and its value."""

    def listed(self, texts: Sequence[str]) -> Any:
        """Gives a list as a statement's value."""

    def use(self, index: str) -> str:
        """Gives what makes a statement on `decision` use an index, where that needs saying."""

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Gives all rows of a statement's answer."""

    def each(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Row]:
        """Gives the rows of a statement's answer, in bounded memory."""

    def close(self) -> None:
        """Lets go."""


def variants(character: str) -> str:
    """Gives the characters that are the same but for case: ASCII among ASCII, others by their single-character forms."""
    if character.isascii():
        return character if not character.isalpha() else character.lower() + character.upper()
    found = dict.fromkeys((character, character.lower(), character.upper()))
    return "".join(one for one in found if len(one) == 1 and not one.isascii())
