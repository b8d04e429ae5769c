"""The report and the comparison: record, curves, html templates."""
