"""The papers' figures and theorems, a script each; `python -m examples.figures` runs them."""
