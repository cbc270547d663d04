"""Evolved explanations beside the methods that people would use instead.

```
__main__.py  options, the order of the work, the records file
cases.py     models and photos, passes counted and timed
found.py     what a method gives, cut to a sufficient region and measured
ours.py      evolve, evolve_map, and what needs no library: RISE, greedy, controls
peers.py     lime, Captum, SHAP, pytorch-grad-cam
table.py     records to Markdown and a plot
targets.py   the figures aimed at, beside what was measured
```
"""
