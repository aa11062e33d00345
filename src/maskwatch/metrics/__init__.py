"""Figures that say how good a model is, as dataclasses with `.table()` and `.json()`."""
