"""The optimizers, one a file, in folders by family; each folder opens with what its members share.

Folders never appear in an import: ``gradpow.s3``.
"""
