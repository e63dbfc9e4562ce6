"""Transforms of the sample batches: pure functions, row -> row or None, zipped with the handlers."""
