"""Training of MTCNN's three networks, and how well they do before and after."""
