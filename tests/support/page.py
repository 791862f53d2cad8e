"""A page of HTML taken apart: what stands in it, and what a browser would do about it."""

from html.parser import HTMLParser

_VOID = {"meta", "br", "img", "hr", "input", "link"}
#: Elements that a browser runs, loads or sends something for.
_ACTIVE = {
    *(
        "script",
        "iframe",
        "frame",
        "object",
        "embed",
        "applet",
        "form",
        "input",
        "button",
        "img",
        "audio",
        "video",
        "source",
    ),
    *("link", "base", "foreignobject", "use", "image", "animate", "set", "a", "math", "template", "noscript", "portal"),
}


class Page(HTMLParser):
    """Reads a page; fails where an element is not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.comments: list[str] = []
        self._open: list[str] = []
        self._in: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert self._open == [], f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self._open:
            self._in.setdefault(self._open[-1], []).append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    @property
    def text(self) -> str:
        """All text but the style, blanks put together."""
        return " ".join(" ".join(data for data in self.texts if data not in self._in.get("style", [])).split())

    @property
    def style(self) -> str:
        return "".join(self._in["style"])

    def all(self, tag: str) -> list[dict[str, str]]:
        """Gives the attributes of all elements of that name."""
        return [attributes for name, attributes in self.elements if name == tag]

    def dangers(self) -> list[str]:
        """Gives what a browser would run, load or follow elsewhere."""
        found = [f"<{tag}>" for tag, _ in self.elements if tag in _ACTIVE - {"a"}]
        for tag, attributes in self.elements:
            for name, value in attributes.items():
                is_link = name in (
                    "href",
                    "src",
                    "xlink:href",
                    "action",
                    "formaction",
                    "data",
                    "srcset",
                    "poster",
                    "background",
                )
                if name.startswith("on") or name == "style" or (is_link and not value.startswith("#")):
                    found.append(f"<{tag} {name}={value!r}>")
        return found + self.comments
