"""The lecture: its steps, what is measured of small networks for them, the numbers that are
shipped, and the player that draws and performs them, on a page and in one file.
"""
