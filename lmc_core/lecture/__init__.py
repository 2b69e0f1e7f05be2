"""The lecture: each step as a function on a live small model, its text, and the barriers that are
shipped with it.
"""
