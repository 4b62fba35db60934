"""How many inputs the tests of faults have tried, by what was asked of them."""

import collections

TRIED: collections.Counter[str] = collections.Counter()
