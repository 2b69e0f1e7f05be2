"""Pins: what outsiders see of the product, as literal values that a change of its insides leaves
alone.

They reach it through the command line, the files it writes, JSON and the addresses of its pages.
The few names that have to be imported from inside stand in `reach.py`, which is the only file here
that may follow when something moves. Golden values lie in `golden/`.
"""
