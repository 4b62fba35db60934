"""The papers' claims at small scale: python -m examples.claims."""
