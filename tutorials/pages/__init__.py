"""Pages to point at: what a backward does, number by number, in a browser.

    python -m minires.tutorials.pages

writes the .html files of this folder anew. Each page is a module with TITLE, LEAD, BODY and
`data()`, whose numbers minires computes, and a script of the same name that shows them; `base.py`
puts them together. A page is one file and needs no network.
"""

NAMES = ("convolution", "batch_norm", "graph", "sectors")
