"""Where records of metrics go: a JSON Lines file always, TensorBoard and W&B where asked for."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from duomem_jax.base.disk import explain_full_disk
from duomem_jax.base.errors import UserError, first_line
from duomem_jax.base.fields import check_value
from duomem_jax.base.io import atomic_write_text, is_remote
from duomem_jax.base.parse import parse_json

Record = dict[str, float]
PAUSE = 10.0  # seconds between two versions of an object


class MetricsWriter(Protocol):
    """Takes one record a window of steps."""

    def write(self, step: int, record: Record) -> None:
        """Add the record of a window that ends with update number `step`."""

    def flush(self) -> None:
        """A kill from here on costs no record that was written."""

    def close(self) -> None:
        """Called once, after the last record."""


class JsonLines:
    """`metrics.jsonl`, which the other stages read.

    A bucket cannot append, and takes no object more than once a second: there the whole file is
    sent now and then, and after each checkpoint: what a kill costs, the resumed run writes again.
    """

    def __init__(self, path: Path, start: int):
        """Continue a file; what a killed run wrote of updates after `start` is dropped."""
        self._path, self._text, self._sent = path, "", time.monotonic()
        if path.exists():
            kept = [line for line, record in _records(path) if record["step"] <= start]
            self._text = "".join(kept)
            atomic_write_text(path, self._text)

    def write(self, step: int, record: Record) -> None:
        """Append one line."""
        line = json.dumps({"step": step} | record) + "\n"
        if not is_remote(self._path):
            # Closed again after each line, so that a kill loses none.
            with explain_full_disk(self._path), open(self._path, "a", encoding="utf-8") as f:
                f.write(line)
            return
        self._text += line
        if time.monotonic() - self._sent > PAUSE:
            self.flush()

    def flush(self) -> None:
        """Send what has not been sent; a local file has every line already."""
        if is_remote(self._path):
            atomic_write_text(self._path, self._text)
            self._sent = time.monotonic()

    def close(self) -> None:
        """Send the rest; the file is not held open."""
        self.flush()


def read_metrics(path: Path) -> list[Record]:
    """The records of a `metrics.jsonl`.

    Raises:
        UserError: the file is missing or damaged.
    """
    return [record for _, record in _records(path)]


def _records(path: Path) -> Iterator[tuple[str, Record]]:
    """Each line with its record; a line without its end is one that a kill cut off."""
    remedy = "restore the file, or train again into another folder"
    try:
        *lines, _ = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as e:
        raise UserError(f"{path}: cannot be read ({first_line(e)}); {remedy}") from None
    last = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = parse_json(line)
            check_value(record, dict[str, float])
            # Records add up only in their order.
            if not last < record["step"] < math.inf:
                raise ValueError(f"step {record['step']} follows step {last}")
            last, values = record["step"], {name: float(x) for name, x in record.items()}
        except (ValueError, TypeError, KeyError, OverflowError) as e:
            why = f"{type(e).__name__}: {first_line(e)}"
            raise UserError(
                f"{path}: line {number} is no record of metrics ({why}); {remedy}"
            ) from None
        yield f"{line}\n", values | {"step": last}


class TensorBoard:
    """Event files in `tensorboard`, by tensorboardX, which needs no TensorFlow."""

    def __init__(self, output: Path, start: int, config: dict[str, Any]):
        """Continue; the viewer forgets what came after `start`."""
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise _missing("tensorboard") from None
        # `purge_step` hides the points of steps that will be done again.
        self._writer = SummaryWriter(str(output / "tensorboard"), purge_step=start + 1)

    def write(self, step: int, record: Record) -> None:
        """One point a metric."""
        for name, value in record.items():
            self._writer.add_scalar(name, value, step)

    def flush(self) -> None:
        """Write what is buffered."""
        self._writer.flush()

    def close(self) -> None:
        """Write what is buffered and close the event file."""
        self._writer.close()


class WandB:
    """A run of Weights & Biases; WANDB_PROJECT, WANDB_MODE and the like say where and how."""

    def __init__(self, output: Path, start: int, config: dict[str, Any]):
        """Continue the run of this output folder, which is always the same one."""
        try:
            import wandb
        except ImportError:
            raise _missing("wandb") from None
        # By the absolute path: the same run, from wherever the command is started.
        name = str(output if is_remote(output) else output.absolute())
        self._run = wandb.init(
            id=hashlib.sha256(name.encode()).hexdigest()[:16],
            name=output.name,
            # W&B writes files of its own on this machine before it sends them.
            dir=None if is_remote(output) else name,
            config=config,
            resume="allow",
        )

    def write(self, step: int, record: Record) -> None:
        """One point a metric; W&B ignores those of steps that it has seen before a kill."""
        self._run.log(record, step=step)

    def flush(self) -> None:
        """W&B sends from a process of its own."""

    def close(self) -> None:
        """Wait until everything is sent."""
        self._run.finish()


WRITERS: dict[str, Callable[[Path, int, dict[str, Any]], MetricsWriter]] = {
    "tensorboard": TensorBoard,
    "wandb": WandB,
}


def open_writers(
    names: tuple[str, ...], output: Path, start: int, config: dict[str, Any]
) -> list[MetricsWriter]:
    """The file, and the writers that a config names.

    Args:
        names: of `WRITERS`.
        output: folder of the run.
        start: updates done.
        config: resolved, for those who show it.

    Raises:
        UserError: the package of one is not installed.
    """
    # These first: when a package is missing, the file of records is still as it was.
    more = [WRITERS[name](output, start, config) for name in names]
    return [JsonLines(output / "metrics.jsonl", start), *more]


def _missing(name: str) -> UserError:
    return UserError(
        f"config: writers has {name}, whose package is missing; pip install duomem-jax[{name}]"
    )
