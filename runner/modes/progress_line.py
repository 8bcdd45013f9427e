"""The line of progress while a model trains: as much as fits into the terminal, in places that stay where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from runner.messages import printable

FEWEST, MOST = 6, 12
"""The widths of the bar."""

TIME = len("1:23:45 left")
WAIT, SPEED, NUMBER = len("waits 100%"), len("99,999 images/s"), len("0.1234")
GAP = 2


class ProgressLine:
    """Progress over all steps of a run on a terminal of some width.

    Epoch, time left and loss are always there. What does not fit next to them is left out, the last of these first:
    wait, first metric, bar, steps, images per second, further metrics.
    """

    def __init__(self, progress: Progress, epochs: int, steps_per_epoch: int) -> None:
        self._progress, self._epochs, self._steps_per_epoch = progress, epochs, steps_per_epoch
        self._total = epochs * steps_per_epoch
        self._task = progress.add_task("fit", total=self._total, text="")
        self._parts: list[str] = []
        self._metrics: tuple[str, ...] | None = None
        self._lay_out(())

    def advance(self, step: int) -> None:
        """Step `step` is on its way."""
        self._progress.update(self._task, completed=step + 1)

    def show(self, step: int, values: Mapping[str, float], speed: str = "", waits: str = "") -> None:
        """Show the epoch of a step, the loss and the metrics so far, and the pace."""
        metrics = tuple(name for name in values if name != "loss")
        if values and metrics != self._metrics:
            self._lay_out(metrics)
        texts = {name: value_text(name, value) for name, value in values.items()}
        texts |= {"epoch": epoch_text(step, self._steps_per_epoch, self._epochs), "speed": speed, "waits": waits}
        known = [(texts.get(part, ""), self._width(part)) for part in self._parts]
        line = (" " * GAP).join(f"{text:<{width}}" for text, width in known)
        self._progress.update(self._task, text=f" {printable(line.rstrip())}")

    def _lay_out(self, metrics: Sequence[str]) -> None:
        """Choose what fits, once the names of the metrics are known."""
        self._metrics = tuple(metrics)
        steps = 2 * len(str(self._total)) + len("/ steps")
        room = self._progress.console.width - len("fit ") - TIME - sum(map(self._needs, ("epoch", "loss")))
        chosen = {"epoch", "loss"}
        for part in ("waits", *metrics[:1], "bar", "steps", "speed", *metrics[1:]):
            needs = {"bar": FEWEST + 1, "steps": steps + 1}.get(part) or self._needs(part)
            if needs <= room:
                room -= needs
                chosen.add(part)
        self._parts = [part for part in ("epoch", "loss", *metrics, "speed", "waits") if part in chosen]
        columns: list[ProgressColumn] = [TextColumn("[bold]fit[/bold]")]
        columns += [BarColumn(bar_width=min(MOST, FEWEST + room))] if "bar" in chosen else []
        columns += [MofNCompleteColumn(), TextColumn("steps")] if "steps" in chosen else []
        columns += [
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            TextColumn("{task.fields[text]}", markup=False),
        ]
        self._progress.columns = tuple(columns)

    def _needs(self, part: str) -> int:
        return GAP + self._width(part)

    def _width(self, part: str) -> int:
        if part == "epoch":
            return len(f"epoch {self._epochs}/{self._epochs}")
        return {"waits": WAIT, "speed": SPEED}.get(part) or len(printable(part)) + 1 + NUMBER


def epoch_text(step: int, steps_per_epoch: int, epochs: int) -> str:
    """The epoch of a step: `epoch 3/24`."""
    return f"epoch {step // steps_per_epoch + 1}/{epochs}"


def value_text(name: str, value: float) -> str:
    """A loss or a metric in the width that is kept for it.

    >>> value_text("loss", 0.123456), value_text("mae", 12.34567), value_text("mse", 1234567.0)
    ('loss 0.1235', 'mae 12.346', 'mse 1e+06')
    """
    decimals = max(0, min(4, NUMBER - 1 - len(f"{value:.0f}")))
    return f"{name} {value:.{decimals}f}" if not abs(value) >= 10**NUMBER else f"{name} {value:.0e}"
