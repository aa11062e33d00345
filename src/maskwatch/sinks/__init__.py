"""Where results go: annotated copies, JSON Lines, CSV, a window or a page."""
