"""One file for each kind of computation: its request, its numbers, and its record.

Nothing here loads torch; what checks and computes lies in `lmc_core.runs.kinds`.
"""
