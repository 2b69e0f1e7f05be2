"""One file for each kind of computation: its request, its numbers, and how it is computed."""
