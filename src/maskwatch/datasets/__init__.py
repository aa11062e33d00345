"""Data sets of faces and masks: reading, and drawing what they lack."""
