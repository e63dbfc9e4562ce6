"""Lambda entry points, one file for each Task state, named as the state."""
