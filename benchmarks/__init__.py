"""Programs that measure, from the repository's root: ``python -m benchmarks.cpu``."""

import examples  # noqa: F401  # which says in one line what a program lacks
