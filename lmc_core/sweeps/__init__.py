"""Sweeps: a grid of ordinary requests written as a file, run on any executor, and its tables."""
