"""`genlab play run=A,B`: a page in the browser to ask trained models and to judge pairs blind.

Read: runs are loaded (playground/seats.py), the page is built (playground/page.py) and served to
this machine alone (playground/server.py), until Ctrl-C.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genlab.runs.say.errors import UserError
from genlab.runs.say.terminal import say
from genlab.runs.settings.overrides import device_of, last_with_weights, parse, writable

INSTALL = "pip install 'genlab[play]'"
MOST = 8  # runs side by side


def play_command(overrides: list[str]) -> None:
    asked, _ = parse("play", overrides)
    paths = runs_of(asked["run"])
    if importlib.util.find_spec("gradio") is None:
        raise UserError(f"`genlab play` needs gradio, which is not installed: {INSTALL}")
    if asked["port"] > 65535:
        raise UserError(f"port={asked['port']}: it must be at most 65535; 0 takes a free one")
    from genlab.runs.folder.load import find_weights

    for path in paths:  # one without weights is told before gradio is imported
        find_weights(path)
    with opened(paths, asked) as (app, server, token):
        from genlab.runs.playground.server import HOST, serve

        address = f"http://{HOST}:{server.getsockname()[1]}/?token={token}"
        say("genlab: the page is at this address, for this machine alone; Ctrl-C ends it")
        print(f"  {address}", flush=True)  # past `say`, which blots tokens out
        serve(app, server, token)


def runs_of(text: str) -> list[str]:
    """The runs that run=A,B or run=[A,B] names; a folder whose name has a comma is one."""
    words = [text]
    if not Path(text).exists():
        inner = text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text
        words = [word.strip().strip("'\"") for word in inner.split(",")]
    if not all(words):
        raise UserError(f"run={text}: a name is empty; write run=A,B")
    if len(words) > MOST:
        raise UserError(f"run={text[:60]}: {len(words)} runs; at most {MOST} stand side by side")
    return [str(last_with_weights()) if word == "last" else word for word in words]


@contextlib.contextmanager
def opened(paths: list[str], asked: dict[str, Any]) -> Iterator[tuple[Any, Any, str]]:
    """Within: the page's app, the socket that it is to be served on, and the token."""
    from genlab.runs.playground.server import alone, listen, new_token

    device = device_of(asked["device"])
    to = None if asked["to"] is None else writable(Path(asked["to"]))
    try:
        server = listen(asked["port"])
    except OSError as error:
        raise UserError(
            f"port={asked['port']}: {error.strerror}; port=0 takes a free one"
        ) from None
    with server, alone() as scratch:
        from genlab.runs.playground.page import app_of, build

        seats = seated(paths, device=device, trust=asked["trust"], to=to)
        page = build(seats, scratch=scratch, who=asked["who"] or "", device=device)
        yield app_of(page, scratch=scratch), server, new_token()


def seated(paths: list[str], *, device: str, trust: list[str], to: Path | None) -> list[Any]:
    """The runs, loaded; names that come twice are numbered."""
    from genlab.runs.playground.seats import open_seat

    seats = []
    for path in paths:
        seat = open_seat(path, device=device, trust=trust)
        seat.home = to or seat.home
        say(
            f"genlab: loaded {path}: {seat.name} after {seat.model.clock.examples:,} examples,"
            f" on {device}"
        )
        seats.append(seat)
    names = [seat.name for seat in seats]
    for i, seat in enumerate(seats):
        if names.count(seat.name) > 1:
            seat.name = f"{seat.name} ({names[: i + 1].count(names[i])})"
    return seats
