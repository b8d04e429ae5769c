"""Tables on disk by Arrow: what goes from one pass to the next, and the ledger in Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MISSING = "`genlab prepare` needs pyarrow: pip install 'genlab[prepare]'"


def _arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ValueError(MISSING) from None
    return pyarrow


TYPES = {"place": "int64", "id": "string", "data": "large_binary", "facts": "large_string"}


def write_table(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Columns of equal length, as an Arrow file."""
    arrow = _arrow()
    arrays = {
        name: arrow.array(values, getattr(arrow, TYPES.get(name, "binary"))())
        for name, values in columns.items()
    }
    table = arrow.table(arrays)
    with arrow.OSFile(str(path), "wb") as f, arrow.ipc.new_file(f, table.schema) as writer:
        writer.write_table(table)


def read_table(path: Path) -> dict[str, list[Any]]:
    arrow = _arrow()
    with arrow.memory_map(str(path)) as f:
        return arrow.ipc.open_file(f).read_all().to_pydict()


def write_ledger(path: Path, parts: Any) -> None:
    """Rows of the ledger, part by part, as one Parquet file."""
    arrow = _arrow()
    text = arrow.string()
    schema = arrow.schema(
        [("id", text), ("rule", text), ("action", text), ("why", text), ("value", text),
         ("before", text), ("after", text)]
    )  # fmt: skip
    with arrow.parquet.ParquetWriter(path, schema) as writer:
        for rows in parts:
            told = [{k: row.get(k) for k in schema.names} for row in rows]
            for row in told:
                row["value"] = None if row["value"] is None else str(row["value"])
            if told:
                writer.write_table(arrow.Table.from_pylist(told, schema))
