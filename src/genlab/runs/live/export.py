"""The page as files of this package, and any view of it as one file that needs no server.

Read: `asset`, `export`; `refuse_unknown` for a view that shows nothing. The scripts are small
modules and nothing builds them: they are handed out one after the other, their imports left out. A
saved view holds them, and the answers it asks for.
"""

from __future__ import annotations

import base64
import difflib
import functools
import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from genlab.runs.live.answers import STEMS, Board, Unknown
from genlab.runs.page.write import templates
from genlab.runs.say.errors import UserError

PAGE = Path(__file__).parent / "page"
SCRIPTS = (  # in the order in which they import each other
    "dom.js", "query.js", "data.js", "drawn.js", "chart.js", "knobs.js", "table.js", "compare.js",
    "run.js", "sweep.js", "board.js",
)  # fmt: skip
ASSETS = {"board.css": "text/css", "board.js": "text/javascript"}  # what the page loads
IMPORT = re.compile(r"^import .*?;\n", re.M | re.S)
LOOKS, CHOSEN = 12, 48  # looks of a run, and runs of a folder, that one file holds
Question = tuple[str, dict[str, str]]


@functools.cache
def asset(name: str) -> str:
    """A file that the page loads: styles or scripts one after the other, which is one request."""
    if name == "board.css":
        style = templates().get_template("style.css").render()  # the report's
        return style + (PAGE / name).read_text(encoding="utf-8")
    texts = ((PAGE / script).read_text(encoding="utf-8") for script in SCRIPTS)
    return "".join(IMPORT.sub("", text).replace("\nexport ", "\n") for text in texts)


def page(head: str = "", body: str = "") -> str:
    """The page; `head` and `body` replace its links to styles and scripts."""
    text = (PAGE / "board.html").read_text(encoding="utf-8")
    if head:
        text = re.sub(r"<!-- head -->.*?<!-- /head -->", lambda _: head, text, flags=re.S)
        text = re.sub(r"<!-- body -->.*?<!-- /body -->", lambda _: body, text, flags=re.S)
    return text


def export(board: Board, view: str) -> str:
    """The page with all that `view` (an address's part after #) asks for: it opens from a disk."""
    answers = {}
    for question, asked in questions(board, view):
        try:
            answers[name_of(question, asked)] = board.answer(question, asked)
        except (Unknown, UserError, ValueError, OSError) as error:
            answers[name_of(question, asked)] = {"problem": str(error)}
    kept = {"view": view, "runs": json.loads(board.index.changes()), "answers": answers}
    # < is written \u003c: no text in it ends the element that holds it
    data = json.dumps(kept).replace("<", "\\u003c")
    script, style = asset("board.js"), asset("board.css")
    policy = (
        f"default-src 'none'; script-src {hashed(script)}; style-src {hashed(style)};"
        " img-src data: blob:; media-src data:; base-uri 'none'; form-action 'none'"
    )
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    head += f"<style>{style}</style>"
    body = f'<script type="application/json" id="kept">{data}</script>'
    body += f'<script type="module">{script}</script>'
    return page(head, body)


def hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def name_of(question: str, asked: dict[str, str]) -> str:
    """As data.js names the same question."""
    return "\n".join([question, *sorted(f"{k}={v}" for k, v in asked.items() if v)])


def parts(view: str) -> tuple[str, str, dict[str, str]]:
    """The page that an address's end names, of what, and its choices; as data.js reads them."""
    path, _, query = view.lstrip("#").partition("?")
    kind, _, rest = path.strip("/").partition("/")
    return kind, unquote(rest), dict(parse_qsl(query))


def refuse_unknown(board: Board, view: str) -> None:
    """Refuse a view that names no page, or a run or a folder that is not there."""
    kind, rest, asked = parts(view)
    runs = list(board.index.runs.values())
    groups = {r.group for r in runs if r.group}
    there = {f"run/{r.key}": f"run/{r.key}" for r in runs}
    there |= {f"sweep/{group}": f"sweep/{quote(group, safe='')}" for group in groups}
    named = [f"{kind}/{rest}".strip("/")] if kind else []
    if kind == "compare":
        named = [f"run/{key}" for key in asked.get("runs", "").split(",") if key]
        named = named or ["compare?runs="]
    if not (missing := [name for name in named if name not in there]):
        return
    known = {f"run/{r.where}": f"run/{r.key}" for r in runs} | there  # as one may type it, too
    found = [known[k] for name in named for k in difflib.get_close_matches(name, known, n=1)]
    if kind == "compare" and found:
        keys = dict.fromkeys(name.removeprefix("run/") for name in found)
        found = [f"compare?runs={','.join(keys)}"]
    gone = ", ".join(f"#/{name}" for name in missing)
    raise UserError(f"view={view}: the board has no {gone}; nearest: #/{''.join(found)}")


def questions(board: Board, view: str) -> list[Question]:
    """What the page asks where its address ends with #`view`."""
    kind, rest, asked = parts(view)
    if kind == "run":
        found = [("run", {"run": rest}), *curves_of(rest, asked), *looks_of(board, [rest])]
        return found + [("drawn", {"run": rest, "what": what}) for what in STEMS]
    if kind == "compare":
        runs = asked.get("runs", "")
        keys = [k for k in runs.split(",") if k][:CHOSEN]
        found = [*curves_of(runs, asked), ("differences", {"runs": runs})]
        return found + looks_of(board, keys)
    if kind == "sweep":
        runs = ",".join(r.key for r in board.index.within(rest)[:CHOSEN])
        own = {k: asked.get(k, "") for k in ("goal", "second")}
        found = [("sweep", {"group": rest, **own}), *curves_of(runs, asked)]
        goal = board.answer(*found[0])["goal"] if runs else ""
        return [*found, ("importance", {"group": rest, "goal": goal})]
    return []


def curves_of(runs: str, asked: dict[str, Any]) -> list[Question]:
    """Curves as they are shown, and over examples and seconds, with seeds apart and together."""
    overs = dict.fromkeys([asked.get("over", "") or "examples", "examples", "seconds"])
    names = asked.get("names", "")
    return [
        ("curves", {"runs": runs, "names": names, "over": over, "band": band})
        for over in overs
        for band in ("0", "1")
    ]


def looks_of(board: Board, keys: list[str]) -> list[Question]:
    """The looks of runs: some of each, where there are many."""
    asked = {"runs": ",".join(keys)}
    found: list[Question] = [("looks", asked)]
    for run in board.answer("looks", asked)["runs"][:LOOKS]:
        at, num = run["at"], min(LOOKS, len(run["at"]))
        chosen = {at[round(i * (len(at) - 1) / max(1, num - 1))] for i in range(num)}
        found += [
            ("drawn", {"run": run["key"], "what": "look", "at": str(x)}) for x in sorted(chosen)
        ]
    return found
