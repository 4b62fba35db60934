"""Image models, trained by the code that pre-trains language models: python -m examples.vision."""
