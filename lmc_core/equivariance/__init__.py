"""Equivariance: the symmetry of the data, and the straight path in weight space from a free network
to an equivariant one.
"""
