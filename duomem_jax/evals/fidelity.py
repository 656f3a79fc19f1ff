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
from duomem_jax.objectives import Batch
from duomem_jax.objectives.divergences import forward_kl, reverse_kl
from duomem_jax.objectives.fused import map_over_tokens
from duomem_jax.objectives.replies import next_tokens, replies_first
from duomem_jax.objectives.targets import Needs
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.records.store.spec import ROWS, SPLIT

BINS = 15  # of the calibration error (Guo et al., arXiv 1706.04599)
TURNS = 30  # that are told apart: few games are longer


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
        by_turn: `forward_kl` of each turn of an episode, up to the last one that has tokens; the
            last of `TURNS` also counts those behind it.
    """

    tokens: int
    forward_kl: float
    reverse_kl: float
    cross_entropy: float
    agreement: float
    calibration_error: float
    by_turn: tuple[float, ...]


def measure_fidelity(
    student: str,
    teacher: str,
    examples: str | os.PathLike,
    *,
    adapter: str = "",
    rows: int = 64,
) -> Fidelity:
    """Compare a student with its teacher on packed rows.

    Args:
        student: Hugging Face folder.
        teacher: Hugging Face folder with the same vocabulary.
        examples: packed rows of both models' tokenizer.
        adapter: PEFT folder; empty: the student as it is.
        rows: at most so many are read.

    Raises:
        UserError: a folder is missing or damaged.
    """
    learner, master = open_model(student, adapter), open_model(teacher)
    count = jax.jit(functools.partial(_sums, learner.model, master.model))
    # The loader repeats its rows without end; so many of them count none twice.
    n = min(rows, len(read_dataset(examples, SPLIT, ROWS)))
    read = batches(examples, global_batch=1, seed=0, needs=Needs())
    sums: dict[str, np.ndarray] = {}
    for _ in range(n):
        found = jax.device_get(count(learner.base, learner.lora, master.base, next(read)))
        # Rows are added up on the host in float64, whatever their number.
        sums = {name: sums.get(name, 0) + x.astype(np.float64) for name, x in found.items()}
    # Grain reads ahead until the iterator is closed.
    read.close()
    total = sums["tokens"]
    # Each bin is weighted by its tokens, so the difference of its sums is its part of the error.
    bins = np.abs(sums["confident"] - sums["right"]).sum()
    names = ("forward_kl", "reverse_kl", "cross_entropy", "agreement")
    means = {name: float(sums[name] / total) for name in names}
    turns = sums["turn_tokens"]
    last = int(turns.nonzero()[0].max(initial=-1)) + 1
    return Fidelity(
        tokens=int(total),
        **means,
        calibration_error=float(bins / total),
        by_turn=tuple((sums["turn_kl"][:last] / turns[:last].clip(1)).tolist()),
    )


def _sums(
    student: Model, teacher: Model, base: Any, lora: Any, taught: Any, batch: Batch
) -> dict[str, jax.Array]:
    """Sums over the reply tokens of a batch; calibration by bin of confidence [BINS]."""
    tokens = batch.student
    inputs = tokens.ids_BT, tokens.positions_BT, tokens.segments_BT
    states_BTD = student.hidden(base, *inputs, lora), teacher.hidden(taught, *inputs)
    student_head, teacher_head = student.head(base), teacher.head(taught)
    ids_BT, mask_BT = next_tokens(tokens)
    # Reply tokens only, moved to the front of their rows: the head is applied to no others.
    turns_BT = _turns(mask_BT, tokens.segments_BT)
    live_BA, moved = replies_first(mask_BT, (*states_BTD, ids_BT, turns_BT), ids_BT.shape[1])

    def compare(chunk: tuple) -> dict[str, jax.Array]:
        x_BXD, y_BXE, ids_BX, turns_BX = chunk
        logits_s, logits_t = student_head(x_BXD), teacher_head(y_BXE)
        # Models of one tokenizer may pad their vocabularies to different sizes; what is beyond the
        # shorter one is no word.
        shared = min(logits_s.shape[-1], logits_t.shape[-1])
        log_s, log_t = (jax.nn.log_softmax(y[..., :shared]) for y in (logits_s, logits_t))
        written_BX = jnp.take_along_axis(log_s, ids_BX[..., None], -1)[..., 0]
        likeliest_BX = log_s.argmax(-1)
        return {
            "forward_kl": forward_kl(log_s, log_t),
            "reverse_kl": reverse_kl(log_s, log_t),
            "cross_entropy": -written_BX,
            "agreement": likeliest_BX == log_t.argmax(-1),
            "confidence": jnp.exp(log_s.max(-1)),
            "right": likeliest_BX == ids_BX,
            "turn": turns_BX,
        }

    # Both heads at once: the chunk is chosen for the logits of the two.
    found = map_over_tokens(compare, moved, student.config.vocab_size + teacher.config.vocab_size)
    confidence_BA, right_BA = found.pop("confidence"), found.pop("right")
    turns_BAn = live_BA[..., None] & (found.pop("turn")[..., None] == jnp.arange(TURNS))
    # A confidence of exactly 1 belongs to the last bin.
    bin_BA = jnp.minimum((confidence_BA * BINS).astype(int), BINS - 1)
    bins_BAn = live_BA[..., None] & (bin_BA[..., None] == jnp.arange(BINS))
    sums = {name: jnp.sum(jnp.where(live_BA, y_BA, 0)) for name, y_BA in found.items()}
    return sums | {
        "tokens": jnp.sum(live_BA),
        # [BINS] each: how sure the student was in a bin, and how often it was right.
        "confident": jnp.sum(bins_BAn * confidence_BA[..., None], axis=(0, 1)),
        "right": jnp.sum(bins_BAn * right_BA[..., None], axis=(0, 1)),
        # [TURNS] each.
        "turn_tokens": jnp.sum(turns_BAn, axis=(0, 1)),
        "turn_kl": jnp.sum(turns_BAn * found["forward_kl"][..., None], axis=(0, 1)),
    }


def _turns(mask_BT: jax.Array, segments_BT: jax.Array) -> jax.Array:
    """Which reply of its episode each reply token is in, counted from 0; others have any number."""
    shifted = jnp.pad(mask_BT[:, :-1], ((0, 0), (1, 0)))
    begun_BT = jnp.cumsum(mask_BT & ~shifted.astype(bool), axis=1)
    # Replies of a row before an episode begins are taken off.
    first_BT = jnp.pad(segments_BT[:, 1:] != segments_BT[:, :-1], ((0, 0), (1, 0)))
    before_BT = jax.lax.cummax(jnp.where(first_BT, begun_BT - mask_BT.astype(int), 0), axis=1)
    return jnp.clip(begun_BT - before_BT - 1, 0, TURNS - 1)
