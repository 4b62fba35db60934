"""Pre-training of language models; start with ``python -m examples.pretrain.train``."""
