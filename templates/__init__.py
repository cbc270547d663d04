"""Templates: the report's pages, their style sheet and fonts, and the starter policy; no code.

`parts` holds the parts of a report, and what the comparison of two versions shares with its annex.
"""
