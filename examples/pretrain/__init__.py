"""Pre-training of language models with gradpow's optimizers: ``python -m examples.pretrain.train``."""
