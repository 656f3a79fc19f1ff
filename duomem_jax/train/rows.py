"""The stored rows of a run, as each of its hosts reads them."""

from collections.abc import Generator, Sequence

import numpy as np

from duomem_jax.base.errors import UserError
from duomem_jax.data.loader import batches
from duomem_jax.models.model import Model
from duomem_jax.train.config import TrainConfig

Batch = dict[str, np.ndarray]


def stored_batches(
    config: TrainConfig,
    folder: str,
    start_step: int = 0,
    places: Sequence[int] = (0,),
    of: int = 1,
) -> Generator[Batch]:
    """The rows of `places` (`data.loader`) of every global batch from `start_step` on."""
    rows = batches(
        folder,
        config.split,
        global_batch=config.global_batch,
        seed=config.seed,
        start_step=start_step,
        places=places,
        of=of,
    )
    stored = config.objective.name != "text" and not config.teacher
    unread = tuple(["target_"] * (not stored) + ["teacher_", "chunks"] * (not config.teacher))
    try:
        for batch in rows:
            yield {name: x for name, x in batch.items() if not name.startswith(unread)}
    finally:
        rows.close()


def check_rows(config: TrainConfig, folder: str, model: Model) -> None:
    """Raise UserError when rows cannot be read or were made for another vocabulary."""
    rows = stored_batches(config, folder)
    largest = int(next(rows)["tokens"].max())
    rows.close()
    if largest >= model.config.vocab_size:
        raise UserError(
            f"{folder}: token id {largest} is outside the model's vocabulary of "
            f"{model.config.vocab_size}; pack the data with the tokenizer of field base"
        )
