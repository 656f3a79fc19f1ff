"""Which tokens of a suffix a model would write by itself (metric of arXiv 2601.15394).

A window is extractable if greedy decoding from its prefix gives exactly its suffix. Greedy decoding
that has followed the suffix so far reads what the suffix says so far, so it gives the whole suffix
if and only if every token of it is the likeliest after the true tokens before it: one pass over
the window decides, and nothing is decoded. (Where two logits are equal up to rounding, the pass
and a decoder with a cache may choose differently.)
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from duomem_jax.evals.audit.windows import Window
from duomem_jax.models.model import Model
from duomem_jax.objectives.fused import LOGITS


@dataclass(frozen=True)
class Score:
    """How much of one window's suffix a model reproduces; the true tokens before are always given.

    Attributes:
        game_id, seed, start: of the window.
        suffix: Y, tokens of the suffix.
        written: how many of them the player wrote.
        zlib_bytes: of the suffix's text, compressed.
        matched: tokens before the first one that is not the likeliest.
        written_hits: tokens that the player wrote and that are the likeliest.
        nats: minus the log-likelihood of the suffix.
        written_nats: the written tokens' part of it.
    """

    game_id: str
    seed: int
    start: int
    suffix: int
    written: int
    zlib_bytes: int
    matched: int
    written_hits: int
    nats: float
    written_nats: float

    @property
    def extractable(self) -> bool:
        """Greedy decoding from the prefix gives exactly the suffix."""
        return self.matched == self.suffix

    @property
    def replayed(self) -> bool:
        """With the game answering as it did, the player's part of the suffix is written again."""
        return self.written > 0 and self.written_hits == self.written


@functools.partial(jax.jit, static_argnames=("model", "suffix"))
def suffix_tokens(
    model: Model, suffix: int, base: Any, lora: Any, tokens_BT: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Judge the last Y = `suffix` tokens of each row; logits exist for a few tokens at a time.

    Args:
        model: the decoder.
        suffix: Y < T.
        base: its parameters, as training has them.
        lora: an adapter tree, or None.
        tokens_BT: int32.

    Returns:
        (likeliest_BY bool, nats_BY float32): whether a token is the likeliest after those before
        it, and minus its log-probability.
    """
    inputs_BT = tokens_BT[:, :-1]  # what is said of a token is read off the one before it
    targets_BY = tokens_BT[:, -suffix:]
    positions_BT = jnp.broadcast_to(jnp.arange(inputs_BT.shape[1]), inputs_BT.shape)
    x_BTD = model.hidden(base, inputs_BT, positions_BT, jnp.ones_like(inputs_BT), lora)
    head = model.head(base)

    def judge(token: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        x_D, target = token
        logits_V = head(x_D)
        # One entry of the log-softmax; the others are never made.
        nats = jax.nn.logsumexp(logits_V) - logits_V[target]
        return logits_V.argmax() == target, nats

    # Rows are laid end to end: [B*Y, D] and [B*Y].
    tokens = (x_BTD[:, -suffix:].reshape(-1, x_BTD.shape[-1]), targets_BY.reshape(-1))
    # As many tokens at once as the losses take, so that logits never fill the memory.
    chunk = min(targets_BY.size, max(1, LOGITS // model.config.vocab_size))
    likeliest, nats = jax.lax.map(judge, tokens, batch_size=chunk)
    return likeliest.reshape(targets_BY.shape), nats.reshape(targets_BY.shape)


def score_windows(
    model: Model, base: Any, lora: Any, windows: Sequence[Window], batch: int
) -> list[Score]:
    """The score of each window; they are of one length and of one split into prefix and suffix.

    Args:
        model: the decoder.
        base: its parameters, as training has them.
        lora: an adapter tree, or None.
        windows: at most `batch`.
        batch: B, windows in one pass; fewer are padded, since another B would compile again.
    """
    tokens_BT = np.stack([w.tokens for w in windows])
    tokens_BT = np.pad(tokens_BT, ((0, batch - len(windows)), (0, 0)), mode="edge")
    suffix = len(windows[0].written)
    judged = jax.device_get(suffix_tokens(model, suffix, base, lora, tokens_BT))
    return [_score(*one) for one in zip(windows, *judged, strict=False)]  # without the padding


def _score(window: Window, likeliest_Y: np.ndarray, nats_Y: np.ndarray) -> Score:
    written_Y = window.written
    # Greedy decoding goes its own way at the first miss; what hits later is not matched.
    misses = np.flatnonzero(~likeliest_Y)
    return Score(
        game_id=window.game_id,
        seed=window.seed,
        start=window.start,
        suffix=len(written_Y),
        written=int(written_Y.sum()),
        zlib_bytes=window.zlib_bytes,
        matched=int(misses[0]) if len(misses) else len(written_Y),
        written_hits=int(likeliest_Y[written_Y].sum()),
        nats=round(float(nats_Y.sum(dtype=np.float64)), 4),
        written_nats=round(float(nats_Y[written_Y].sum(dtype=np.float64)), 4),
    )
