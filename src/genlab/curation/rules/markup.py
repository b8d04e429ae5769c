"""Markup: what an HTML page says, without its tags, scripts, menus and footers."""

from __future__ import annotations

import re
from typing import Literal

from genlab.curation.base import Change, Example, Leave
from genlab.curation.rules.texts import TextRule

MARKUP = re.compile(r"<(?:!doctype\s+html|html|head|body|div|p|br|a|span|table|h[1-6])\b", re.I)
LEFT_OUT = "script, style, noscript, template, svg, nav, header, footer, aside, form, iframe"
MOST = 10_000_000  # characters of a page


class Markup(TextRule):
    """An HTML page becomes the text that it shows; what is no HTML is left as it is."""

    def __init__(self, *, by: Literal["trafilatura", "selectolax"] = "trafilatura") -> None:
        """`by`: trafilatura finds the main text, without menus and notes; selectolax takes all
        that is shown but menus, headers and footers, and is some ten times as quick."""
        self.by = by

    def __call__(self, example: Example) -> Leave | Change | None:
        page = example.data
        if not MARKUP.search(page[:5000]):
            return None
        if len(page) > MOST:
            return Leave(f"a page of over {MOST:,} characters", len(page))
        text = main_text(page) if self.by == "trafilatura" else shown_text(page)
        if not text.strip():
            return Leave("a page without text", len(page))
        return Change("markup", len(page) - len(text), data=text)


def main_text(page: str) -> str:
    try:
        from trafilatura import bare_extraction
    except ImportError:
        raise ValueError(
            "by=trafilatura needs it: pip install 'genlab[prepare]', or write by=selectolax"
        ) from None
    found = bare_extraction(page, include_comments=False, include_tables=True, favor_recall=True)
    return (found.text if found else None) or ""


def shown_text(page: str) -> str:
    """All that is shown, a line for each block."""
    try:
        from selectolax.lexbor import LexborHTMLParser
    except ImportError:
        raise ValueError("by=selectolax needs it: pip install 'genlab[prepare]'") from None
    tree = LexborHTMLParser(page)
    for node in tree.css(LEFT_OUT):
        node.decompose()
    body = tree.body
    if body is None:
        return ""
    lines = (" ".join(x.split()) for x in body.text(separator="\n").split("\n"))
    return "\n".join(x for x in lines if x)
