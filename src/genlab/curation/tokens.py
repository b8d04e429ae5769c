"""A last step of texts: their tokens, written once where data=prepared finds them.

What is written is what data/text.py makes of the same documents: one stream a split, in a file that
data/token_files.py names by a hash of the documents and of the tokenizer.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from genlab.data import token_files
from genlab.data.sources.text import TOKENS, TextFile
from genlab.data.tokenizers import Tokenizer


def write_tokens(folder: Path, tokenizer: Tokenizer) -> dict[str, Any]:
    """Write the tokens of a curated set's documents; how many there are of each split."""
    path = folder / "documents.jsonl"
    try:
        splits = TextFile(path=str(path)).documents()
    except ValueError as error:  # what training on the set would say
        raise ValueError(str(error).replace(f"data.path={path}", "tokenizer: the set")) from None
    tokenizer.fit(*splits, vocab=None)
    found = {"vocab": tokenizer.vocab}
    for name, documents in zip(("train", "val"), splits):
        file = token_files.put(folder / TOKENS, documents, tokenizer)
        shutil.copymode(path, file)  # whoever may read the text may read them
        held = token_files.beside(folder / TOKENS, documents, tokenizer)
        if held is None:
            raise ValueError(f"{file} does not hold what was written to it: is the disk damaged?")
        found[name] = held.targets
    return found
