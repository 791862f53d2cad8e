"""A page of the documentation, taken apart: headings, links, blocks and bits of code."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code, with the language that it names."""

    language: str
    text: str


@dataclass(frozen=True)
class Page:
    """One page. Its text outside blocks is `prose`."""

    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        return _FENCE.sub("", self.text)

    @cached_property
    def blocks(self) -> list[Block]:
        return [
            Block(language, re.sub(f"^{indent}", "", text, flags=re.MULTILINE))
            for indent, language, text in self._fences
        ]

    @property
    def _fences(self) -> list[tuple[str, str, str]]:
        return _FENCE.findall(self.text)

    @cached_property
    def inline(self) -> list[str]:
        """Bits of code in the prose."""
        return _INLINE.findall(self.prose)

    @cached_property
    def links(self) -> list[str]:
        return _LINK.findall(_INLINE.sub("", self.prose))

    @cached_property
    def anchors(self) -> set[str]:
        """The anchors of the headings, as GitHub makes them."""
        found: set[str] = set()
        for heading in _HEADING.findall(self.prose):
            shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
            slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
            number = next(n for n in range(99) if (f"{slug}-{n}" if n else slug) not in found)
            found.add(f"{slug}-{number}" if number else slug)
        return found
