"""Lines between models, the loss along them, and its barrier."""
