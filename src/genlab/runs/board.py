"""`genlab board`: a live page over a folder of runs, without an account; or one file of it.

Read: runs/live: summary.py (one run, read cheaply), index.py (all of them, kept true), answers.py
(what the page may ask), server.py (who may ask), export.py (a view as one file). The page is in
live/page: small scripts without a build step.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from genlab.runs.folder.layout import outputs, write_text
from genlab.runs.page.record import is_run
from genlab.runs.say.errors import UserError, nearest
from genlab.runs.say.terminal import say
from genlab.runs.settings.conf import conf_dir
from genlab.runs.settings.flags import without_dashes
from genlab.shown import visible


def board_command(words: list[str]) -> None:
    root, settings = parse(words)
    if settings["export"]:
        print(visible(str(save(root, Path(settings["export"]), settings["view"] or ""))))
        return
    from genlab.runs.live.server import is_loopback, serve

    if not is_loopback(settings["host"]):
        say(
            f"genlab: host={settings['host']}: whoever can reach this machine and has the address"
            " sees the runs, and what is sent is not encrypted; an ssh tunnel is"
        )
    serve(root, settings, lambda address: print(address, flush=True))


def parse(words: Sequence[str]) -> tuple[Path, dict[str, Any]]:
    """The folder, and the command's own settings."""
    settings = yaml.safe_load((conf_dir() / "board.yaml").read_text())
    for i, word in enumerate(words):
        key, equals, text = word.partition("=")
        if key.startswith("-"):
            remedy = without_dashes(word, words[i + 1 :]) if key.lstrip("-") in settings else ""
            raise UserError(f"{key}: `genlab board` has no flags but --help{remedy}")
        if equals and key in settings:
            settings[key] = text
        elif equals and "/" not in key:
            raise UserError(f"{word}: `genlab board` has no {key!r}{nearest(key, [*settings])}")
        else:
            settings["folder"] = word
    if (port := settings["port"]) is not None:
        if not str(port).isdigit() or int(port) > 65535:
            raise UserError(f"port={port}: a number up to 65535, or 0 for a free one")
        settings["port"] = int(port)
    if settings["view"] and not settings["export"]:
        raise UserError("view= is what export=FILE writes: give that too")
    root = Path(settings["folder"] or outputs())
    if not root.is_dir():
        raise UserError(f"folder={root}: there is no such folder; runs are made by `genlab train`")
    if is_run(root):
        raise UserError(f"folder={root} is one run: give the folder it lies in, or `genlab report`")
    return root.resolve(), settings


def save(root: Path, path: Path, view: str) -> Path:
    """Write one view of the runs below `root` as a file that needs no server."""
    from genlab.runs.live.answers import Board
    from genlab.runs.live.export import export, refuse_unknown

    board = Board(root)
    board.index.read_all()
    view = view.rpartition("#")[2]
    refuse_unknown(board, view)
    write_text(path, export(board, view))
    return path
