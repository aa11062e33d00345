"""Training of the models that maskwatch uses. Needs the extra `train`."""
