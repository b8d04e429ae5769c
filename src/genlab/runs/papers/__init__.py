"""Published numbers and what came out here: rows, verdicts, the table."""
