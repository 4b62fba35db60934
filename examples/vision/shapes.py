"""What the image models' shapes share."""

import dataclasses

from ..pretrain.errors import UserError


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

    def check(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if type(value) is int and value < 1:
                flag = field.name.replace("_", "-")
                raise UserError(f"--shape.{flag} {value} must be at least 1")
