"""How well `markup` finds what an HTML page says: rows for scripts/bench/curation.py.

The reference is the element that the sites' own templates put their text in, which neither
extractor is told: <div class="body" role="main"> of the Python documentation (Sphinx), and what
stands between the navigation bars of the Debian Handbook (Publican). Words are counted as often as
they stand there: precision is the share of what is extracted that is in the reference, recall the
share of the reference that is extracted.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from genlab.curation.rules.markup import main_text, shown_text

DATA = Path(os.environ.get("GENLAB_DATA", "data"))
PAGES = 60  # of a site
SITES = {"python-docs": "div.body[role=main]", "debian-handbook": "body > div:not(#banner)"}
Told = tuple[str, str, str, str, str]


def pages(site: str) -> list[str]:
    with tarfile.open(DATA / "html-pages" / "html-pages.tar.xz") as t:
        members = [m for m in t if m.isfile() and f"/{site}/" in m.name and m.name.endswith("html")]
        some = members[:: max(1, len(members) // PAGES)][:PAGES]
        return [t.extractfile(m).read().decode("utf-8", "replace") for m in some]


def reference(page: str, where: str) -> str:
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(page)
    for node in tree.css("script, style, a.headerlink"):
        node.decompose()
    return "\n".join(node.text(separator=" ") for node in tree.css(where))


def words(text: str) -> Counter:
    return Counter(re.findall(r"\w+", text.lower()))


def extraction() -> Iterator[Told]:
    for site, where in SITES.items():
        held = [(page, words(reference(page, where))) for page in pages(site)]
        held = [(page, wanted) for page, wanted in held if wanted.total() >= 50]
        for name, extract_text in (("trafilatura", main_text), ("selectolax", shown_text)):
            both = found = wanted = whole = 0
            for page, want in held:
                got = words(extract_text(page))
                both += (got & want).total()
                found, wanted = found + got.total(), wanted + want.total()
                whole += (got & want).total() >= 0.9 * want.total()
            what = (
                f"{site}: words of {len(held)} pages, by {name}; {whole} pages with 90 % of theirs"
            )
            yield ("markup", what, f"{both:,} of {wanted:,} ({both / wanted:.3f})",
                   f"{both / max(1, found):.3f}", f"{found - both:,} of {found:,}")  # fmt: skip


def parts() -> tuple[Callable[[], Iterator[Told]], ...]:
    return (extraction,)


if __name__ == "__main__":
    for found in extraction():
        print(f"| {' | '.join(found)} |", flush=True)
