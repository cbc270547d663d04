"""Templates: the report's pages, their style sheet and fonts, and the starter policy; no code.

`sections/<analysis>.html.j2` takes the place of the ordinary section of that analysis.
"""
