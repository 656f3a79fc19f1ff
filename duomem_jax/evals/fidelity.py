"""How near a student comes to its teacher, token by token, on replies that neither was trained on.

Success on games says whether a student wins; these numbers say whether it has become the teacher.
"""

import dataclasses
import functools
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from duomem_jax.data.loader import batches
from duomem_jax.lora.open import open_model
from duomem_jax.models.model import Model
from duomem_jax.objectives.chunked import in_chunks
from duomem_jax.objectives.forward_kl import forward_kl
from duomem_jax.objectives.replies import front, next_tokens
from duomem_jax.objectives.reverse_kl import reverse_kl
from duomem_jax.records.store.reader import read_dataset

BINS = 15  # of the calibration error (Guo et al., arXiv 1706.04599)


@dataclasses.dataclass(frozen=True)
class Fidelity:
    """Means over reply tokens.

    Attributes:
        tokens: how many.
        forward_kl: KL(teacher || student), nats.
        reverse_kl: KL(student || teacher), nats.
        cross_entropy: of the written tokens under the student, nats.
        agreement: share of tokens where both would write the same.
        calibration_error: mean distance, over bins of confidence, of the student's confidence in
            its likeliest token and how often that was written.
    """

    tokens: int
    forward_kl: float
    reverse_kl: float
    cross_entropy: float
    agreement: float
    calibration_error: float


def measure_fidelity(
    student: str,
    teacher: str,
    examples: str | os.PathLike,
    *,
    adapter: str = "",
    rows: int = 64,
    split: str = "train",
) -> Fidelity:
    """Compare a student with its teacher on packed rows.

    Args:
        student: Hugging Face folder.
        teacher: Hugging Face folder with the same vocabulary.
        examples: packed rows of both models' tokenizer.
        adapter: PEFT folder; empty: the student as it is.
        rows: at most so many are read.
        split: of the examples.

    Raises:
        UserError: a folder is missing or damaged.
    """
    learner, master = open_model(student, adapter), open_model(teacher)
    count = jax.jit(functools.partial(_sums, learner.model, master.model))
    n = min(rows, len(read_dataset(examples, split)))
    read = batches(examples, split, global_batch=1, seed=0)
    sums: dict[str, np.ndarray] = {}
    for _ in range(n):
        found = jax.device_get(count(learner.base, learner.lora, master.base, next(read)))
        sums = {name: sums.get(name, 0) + x.astype(np.float64) for name, x in found.items()}
    read.close()
    total = sums["tokens"]
    bins = np.abs(sums["confident"] - sums["right"]).sum()
    names = ("forward_kl", "reverse_kl", "cross_entropy", "agreement")
    means = {name: float(sums[name] / total) for name in names}
    return Fidelity(tokens=int(total), **means, calibration_error=float(bins / total))


def _sums(model: Model, teacher: Model, base: Any, lora: Any, taught: Any, batch: dict) -> dict:
    inputs = batch["tokens"], batch["positions"], batch["segment_ids"]
    states = model.hidden(base, *inputs, lora), teacher.hidden(taught, *inputs)
    heads = model.head(base), teacher.head(taught)
    tokens_BT, mask_BT = next_tokens(batch)
    live_BM, moved = front(mask_BT, (*states, tokens_BT), tokens_BT.shape[1])
    vocab = model.config.vocab_size + teacher.config.vocab_size

    def one(chunk: tuple) -> dict[str, jax.Array]:
        live_BC, (x_BCD, y_BCE, tokens_BC) = chunk
        logits = [head(x) for head, x in zip(heads, (x_BCD, y_BCE), strict=True)]
        shared = min(y.shape[-1] for y in logits)
        log_s, log_t = (jax.nn.log_softmax(y[..., :shared]) for y in logits)
        written_BC = jnp.take_along_axis(log_s, tokens_BC[..., None], -1)[..., 0]
        ours_BC, sure_BC = log_s.argmax(-1), jnp.exp(log_s.max(-1))
        bin_BC = jnp.minimum((sure_BC * BINS).astype(int), BINS - 1)
        of_bin = live_BC[..., None] & (bin_BC[..., None] == jnp.arange(BINS))

        def over_bins(y_BC: jax.Array) -> jax.Array:
            return jnp.sum(of_bin * y_BC[..., None], axis=(0, 1))

        by_token = {
            "tokens": jnp.ones_like(sure_BC),
            "forward_kl": forward_kl(log_s, log_t),
            "reverse_kl": reverse_kl(log_s, log_t),
            "cross_entropy": -written_BC,
            "agreement": ours_BC == log_t.argmax(-1),
        }
        sums = {name: jnp.sum(jnp.where(live_BC, y, 0)) for name, y in by_token.items()}
        return sums | {"confident": over_bins(sure_BC), "right": over_bins(ours_BC == tokens_BC)}

    chunks = in_chunks((live_BM, moved), vocab)
    return jax.tree.map(lambda y: y.sum(0), jax.lax.map(one, chunks))
