"""The tree of src/genlab in docs/house.md, from the first line of each file's docstring.

python scripts/house_tree.py     write it again
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "house.md"


def tree(folder: Path, depth: int = 0) -> list[str]:
    """A line for each file and folder, files first."""
    lines, pad = [], "  " * (depth + 1)
    for file in sorted(folder.glob("*.py")):
        if file.name != "__init__.py" and file.read_text().strip():
            lines.append(f"{pad + file.name:<22} {_first_line(file)}")
    for inner in sorted(p for p in folder.iterdir() if (p / "__init__.py").is_file()):
        lines.append(
            f"{pad}{inner.name + '/':<{22 - len(pad)}} {_first_line(inner / '__init__.py')}"
        )
        lines += tree(inner, depth + 1)
    return lines


def _first_line(file: Path) -> str:
    doc = ast.get_docstring(ast.parse(file.read_text())) or ""
    return " ".join(doc.split("\n\n")[0].split()).rstrip(".")


def page(text: str) -> str:
    """The page with its tree as the code has it."""
    found = "\n".join(["src/genlab/", *tree(ROOT / "src" / "genlab")])
    return re.sub(r"(```text\n)src/genlab/\n.*?(```)", rf"\1{found}\n\2".replace("\\u", "\\\\u"),
                  text, flags=re.S)  # fmt: skip


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
