"""What steps measured and how long they took, fetched from the device once a window of steps."""

import time

import jax
import numpy as np

from .step import METRICS


class Meter:
    """Keeps metrics on the device until they are taken, so that the host runs ahead of it."""

    def __init__(
        self, unit: str, units_per_step: int, flops_per_unit: float, peak_flops: float | None
    ):
        self.unit, self.units_per_step = unit, units_per_step
        self.flops_per_unit = flops_per_unit
        self.peak_flops = peak_flops
        self.pending: list[jax.Array] = []
        self.waited = 0.0
        self.restart()

    def restart(self) -> None:
        """Starts the window's clock; what came before, as a validation, is not the steps' time."""
        self.start = time.perf_counter()

    def add(self, metrics: jax.Array, waited: float) -> None:
        """One step's METRICS, and the seconds in which the host waited for its data."""
        self.pending.append(metrics)
        self.waited += waited

    def take(self) -> tuple[list[dict[str, float]], dict[str, float]]:
        """The steps' metrics since the last call, and the window's speed; waits for the device.

        `waited_for_data` is the share of the window in which the host waited for data. The device
        may have been busy meanwhile, so it bounds what data cost from above.
        """
        values = np.stack(jax.device_get(self.pending)).tolist()
        seconds = time.perf_counter() - self.start
        rate = len(values) * self.units_per_step / seconds
        speed = {f"{self.unit}_per_second": rate, "waited_for_data": self.waited / seconds}
        if self.peak_flops:
            speed["mfu"] = rate * self.flops_per_unit / self.peak_flops
        self.pending, self.waited = [], 0.0
        self.restart()
        return [dict(zip(METRICS, row, strict=True)) for row in values], speed
