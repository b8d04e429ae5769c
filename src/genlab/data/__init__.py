"""Data: what the examples are, and which of them a step sees."""
