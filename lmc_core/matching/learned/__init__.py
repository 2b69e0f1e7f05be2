"""Learned matching: maps that follow the gradient of a loss."""
