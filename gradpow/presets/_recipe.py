"""What a paper prints of a training run: a setting, and in it a recipe for each optimizer."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a paper prints for one optimizer.

    Args:
      learning_rate: at its peak.
      weight_decay: times the learning rate, but for Adam and SGD, whose gradients it enters.
      hyper: the hyper-parameters that differ from those in :data:`gradpow.presets.OPTIMIZERS`.
      clip: largest global norm of the gradient, 0 for no clipping; None for the setting's.
      note: what is to be known of these numbers, such as "as printed".
    """

    learning_rate: float
    weight_decay: float
    hyper: dict[str, float] = dataclasses.field(default_factory=dict)
    clip: float | None = None
    note: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """A paper's training run: model, batch, length and schedule, and a recipe an optimizer.

    Args:
      model: the model and what it was trained on.
      source: where the paper says so, and what is assumed.
      batch_size: sequences or images a step.
      sequence_length: tokens a sequence; None for images.
      steps: in all; None for 20 tokens a parameter.
      warmup: steps of linear warm-up from 0.
      schedule: "cosine", "linear", "constant" or "wsd", as :func:`gradpow.presets.make_schedule`
        has them.
      final_fraction: the last learning rate over the peak, for all schedules but constant.
      clip: largest global norm of the gradient; 0 for no clipping.
      recipes: by the optimizer's name.
    """

    model: str
    source: str
    batch_size: int
    sequence_length: int | None
    steps: int | None
    warmup: int = 0
    schedule: str = "cosine"
    final_fraction: float = 0.1
    clip: float = 1.0
    recipes: dict[str, Recipe]

    def recipe_for(self, optimizer: str) -> Recipe:
        """The paper's recipe, or AdamW's rate and decay where it did not try the optimizer.

        Args:
          optimizer: by its name in :data:`gradpow.presets.OPTIMIZERS`.

        Returns:
          A :class:`gradpow.presets.Recipe`, whose note says whether the numbers are AdamW's.

        Raises:
          ValueError: if the setting has neither.
        """
        if optimizer in self.recipes:
            return self.recipes[optimizer]
        if "adamw" not in self.recipes:
            raise ValueError(
                f"for {self.model} the paper has neither {optimizer} nor AdamW, whose rate would "
                f"stand in: take {', '.join(self.recipes)}"
            )
        adamw = self.recipes["adamw"]
        return Recipe(
            adamw.learning_rate,
            adamw.weight_decay,
            note=f"this paper did not try {optimizer}: rate and decay are AdamW's, set your own",
        )
