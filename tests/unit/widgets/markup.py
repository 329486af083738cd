"""Reads a widget's HTML as a browser would, to say what is in it."""

import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"br", "img", "line", "path", "circle"}
ALLOWED = {
    *("style", "div", "span", "p", "i", "a", "cwdb-action", "code", "small", "br", "pre"),
    *("table", "thead", "tbody", "tr", "th", "td", "dl", "dt", "dd", "ul", "li"),
    *("svg", "line", "path", "circle", "text"),
}


@dataclass
class Page(HTMLParser):
    """The parsed widget.

    Attributes
    ----------
    buttons
        Pairs of a label and the payload that its click sends.
    """

    source: str
    tags: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    text: str = ""
    buttons: list[tuple[str, dict]] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self, convert_charrefs=True)
        self._open: list[str] = []
        self._label = self._payload = ""
        self.feed(self.source)
        self.close()
        assert self._open == [], f"left open: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)
        if tag == "a":
            self._label = ""
        self._payload = ""

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self._open and self._open[-1] == tag, f"</{tag}> closes {self._open[-1:]}"
        self._open.pop()
        if tag == "cwdb-action":
            self.buttons.append((self._label.strip(), json.loads(self._payload)))

    def handle_data(self, data):
        if "style" in self._open:
            return
        if "cwdb-action" in self._open:
            self._payload += data
            return
        if self._open[-1:] == ["a"]:
            self._label += data
        self.text += data + " "

    @property
    def words(self) -> str:
        """All visible text, with one space between its parts."""
        return re.sub(r"[ \n\t]+", " ", self.text).strip()

    def payload(self, label: str) -> dict:
        """Return what the only button with this label sends."""
        (found,) = [payload for name, payload in self.buttons if name == label]
        return found
