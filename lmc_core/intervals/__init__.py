"""Errors and intervals: of means whose examples belong together, of whole curves, of maxima, of
means over pairs of models.
"""
