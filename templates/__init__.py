"""Templates: the report's page, its style sheet and fonts, and the starter policy; data, no code.

`sections/<analysis>.html.j2` takes the place of the ordinary section of that analysis.
"""
