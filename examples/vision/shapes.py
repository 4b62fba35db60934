"""What the image models' shapes share."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ImageShape:
    """The images that a model takes, and its classes."""

    size: int
    """Pixels of a side."""
    channels: int
    """Colours of a pixel."""
    classes: int
    """Labels."""

    stacked = False  # layers are a list
    random = False  # whether the loss draws random numbers
