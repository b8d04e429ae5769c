"""Files that cannot be read, named together in one line."""

from __future__ import annotations

from collections.abc import Sequence

NAMED = 10  # files that are named in a message


def refuse(broken: Sequence[ValueError], num: int, noun: str) -> None:
    """Raise for `broken` files of `num`; each error says "data.root: PATH is no NOUN ..."."""
    if len(broken) == 1:
        raise broken[0]
    if broken:
        names = [str(e).split(f" is no {noun}")[0].removeprefix("data.root: ") for e in broken]
        shown = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
        raise ValueError(
            f"data.root: {len(broken)} of {num} files are no {noun}s that can be read:"
            f" {shown}: mend them or take them out of the folder"
        )
