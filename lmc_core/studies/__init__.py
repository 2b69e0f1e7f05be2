"""Studies: results that belong together, with titles and notes; as a page, as files for a paper, as
an archive.
"""
