"""Training of the one-pass detector: one network that finds faces and judges their masks."""
