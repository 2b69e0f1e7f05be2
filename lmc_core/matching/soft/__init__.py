"""Soft matching: doubly stochastic matrices in place of permutations."""
