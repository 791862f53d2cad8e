"""Names that say what they mean."""

from enum import StrEnum
from typing import Self


class Meaningful(StrEnum):
    """A name with its meaning (`NAME = "name", "What it means."`), which documentation and messages take from here."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Self:
        """Makes a member with its meaning."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member
