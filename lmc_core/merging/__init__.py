"""Ways to make one model out of several, each an ordinary set of parameters but the ensemble;
`methods.MERGES` lists them.
"""
