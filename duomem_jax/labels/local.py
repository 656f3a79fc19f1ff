"""A model of ours as the one who labels."""

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from duomem_jax.base.errors import UserError
from duomem_jax.data.rows import Kind, stack
from duomem_jax.lora.open import content_name
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.mesh.sharding import make_mesh, model_shardings, put_batch, use_mesh
from duomem_jax.models.hf import fingerprint, load_config
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model
from duomem_jax.models.platform import platform
from duomem_jax.models.shapes import tree_bytes, weight_shapes
from duomem_jax.objectives import Stored, Tokens
from duomem_jax.objectives.candidates import with_rest
from duomem_jax.objectives.fused import map_over_tokens
from duomem_jax.objectives.replies import next_tokens, replies_first
from duomem_jax.text.tokenizer import check_ids, load_tokenizer, vocabulary_fingerprint

RECALL = 0.98  # of the approximate search on TPU, which takes a hundredth of the exact one's time


class ModelScorer:
    """Reads packed rows and gives its distributions over their replies; a `labels.label.Scorer`."""

    def __init__(
        self,
        folder: str | os.PathLike,
        *,
        kind: Kind,
        k: int,
        temperature: float,
        seed: int,
        rows: int,
        dtype: str,
    ) -> None:
        """Load a model.

        Args:
            folder: Hugging Face folder.
            kind: "topk": the written token and the k - 1 likeliest others, with what is left as
                a rest; "samples": k draws, with which the cross-entropy has no bias
                (arXiv 2503.16870).
            k: candidates.
            temperature: of the distributions.
            seed: of samples.
            rows: read at once, on each device.
            dtype: of the compute.

        Raises:
            UserError: no such model, or options that make no sense.
        """
        config = load_config(folder, dtype)
        tokenizer = load_tokenizer(folder)
        check_ids(str(folder), tokenizer, config.vocab_size)
        # A head may be padded beyond it, and a student's less far: those are never candidates.
        vocab = min(len(tokenizer), config.vocab_size)
        if k >= vocab:
            raise UserError(f"k is {k}; give 2 to {vocab - 1}, below the vocabulary")
        self.name = content_name(str(folder))
        self.kind, self.candidates, self.vocab = kind, k, vocab
        self.vocabulary = vocabulary_fingerprint(tokenizer)
        # Without `rows`, which changes no target and may differ between shards, and with the seed
        # only where chance is involved: another one must not be refused for the likeliest tokens.
        self.config: dict[str, Any] = {
            "teacher": fingerprint(folder),
            "kind": kind,
            "k": k,
            "temperature": temperature,
            "dtype": dtype,
        } | ({"seed": seed} if kind == "samples" else {})
        self._model, self._seed, self._temperature = Model(config), seed, temperature
        self._rows = rows * jax.device_count()
        # Known from shapes, so that a mesh is chosen before weights are loaded.
        held = tree_bytes(weight_shapes(self._model, dtype))
        self._mesh = make_mesh(MeshConfig(), self._rows, held)
        self._folder = folder
        self._params: Any = None

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """Hold the weights for as long as rows are scored."""
        # Only around loading, and again in `_batch`: nobody else's work runs under this mesh.
        with use_mesh(self._mesh):
            shardings = model_shardings(self._model, self._mesh)["params"]
            self._params = load_pretrained(self._folder, self.config["dtype"], shardings)[1]
        try:
            yield
        finally:
            self._params = None

    def __call__(self, rows: Sequence[Tokens], first: int, tokens: int) -> list[Stored]:
        """Targets of each row, in the order of its reply tokens."""
        found: list[Stored] = []
        for start in range(0, len(rows), self._rows):
            found += self._batch(rows[start : start + self._rows], first + start, tokens)
        return found

    def _batch(self, rows: Sequence[Tokens], first: int, tokens: int) -> list[Stored]:
        # A last, short batch is filled up, so that one shape is compiled.
        padded = [*rows, *[rows[-1]] * (self._rows - len(rows))]
        # Numbers in the whole dataset: draws of a row depend on neither batches nor shards. Rows
        # that fill up get numbers too, and are dropped.
        number_B = first + np.arange(self._rows, dtype=np.int32)
        with use_mesh(self._mesh):
            batch = put_batch((stack(padded), number_B), self._mesh)
            found = jax.device_get(self._score(tokens)(self._params, *batch))
        return [jax.tree.map(lambda x, i=i: x[i], found) for i in range(len(rows))]

    @functools.cache  # noqa: B019 - a scorer lives as long as its program
    def _score(self, tokens: int) -> Any:
        return jax.jit(functools.partial(self._targets, tokens))

    def _targets(self, room: int, params: Any, tokens: Tokens, number_B: jax.Array) -> Stored:
        """Targets of a batch, [B,A,C] with A = `room`; only some tokens' logits exist at once."""
        x_BTD = self._model.hidden(params, tokens.ids_BT, tokens.positions_BT, tokens.segments_BT)
        next_BT, mask_BT = next_tokens(tokens)
        # Only replies meet the head; the prompts and observations between them need no targets.
        live_BA, (x_BAD, next_BA) = replies_first(mask_BT, (x_BTD, next_BT), room)
        head, head_vocab = self._model.head(params), self._model.config.vocab_size

        def find_likeliest(chunk: tuple) -> tuple:
            x_BXD, next_BX = chunk
            logits_BXV = head(x_BXD) / self._temperature
            return likeliest(logits_BXV, next_BX, self.candidates, self.vocab)

        def draw(chunk: tuple) -> tuple:
            x_BXD, u_BXC = chunk
            # Samples have no rest: what lies beyond the vocabulary is not drawn at all.
            return _samples(head(x_BXD)[..., : self.vocab] / self._temperature, u_BXC)

        if self.kind == "topk":
            found = map_over_tokens(find_likeliest, (x_BAD, next_BA), head_vocab)
        else:
            # Drawn before the chunks, so that their size does not change what is drawn.
            u_BAC = _uniforms(number_B, room, self.candidates, self._seed)
            found = map_over_tokens(draw, (x_BAD, u_BAC), head_vocab)
        ids_BAC, log_probs_BAC, rest_BA = found
        return Stored(ids_BAC, log_probs_BAC, live_BA, rest_BA)


def likeliest(logits_BXV, next_BX, k: int, vocab: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The written token, then the k - 1 likeliest others.

    Args:
        logits_BXV: over the head, which may be wider than the vocabulary.
        next_BX: the written tokens.
        k: candidates.
        vocab: tokens that there are; all beyond belong to the rest.

    Returns:
        (ids_BXC int32, log_probs_BXC float16, rest_BX float16), C = k.
    """
    log_p_BXV = jax.nn.log_softmax(logits_BXV)
    # Kept out of the search, or it would be stored twice wherever it is among the likeliest.
    id_V = jnp.arange(logits_BXV.shape[-1])
    omitted_BXV = (id_V == next_BX[..., None]) | (id_V >= vocab)
    others_BXV = jnp.where(omitted_BXV, -jnp.inf, log_p_BXV)
    # Of what is being compiled for, not of what traces it.
    if platform() == "tpu":
        top, ids = jax.lax.approx_max_k(others_BXV, k - 1, recall_target=RECALL)
    else:
        top, ids = jax.lax.top_k(others_BXV, k - 1)
    written = jnp.take_along_axis(log_p_BXV, next_BX[..., None], axis=-1)
    log_p_BXC = jnp.concatenate([written, top], axis=-1)
    ids_BXC = jnp.concatenate([next_BX[..., None], ids], axis=-1).astype(jnp.int32)
    # From float32, before rounding: the rest is a small difference of sums near 1.
    rest_BX = with_rest(log_p_BXC)[..., -1]
    return ids_BXC, log_p_BXC.astype(jnp.float16), rest_BX.astype(jnp.float16)


def _uniforms(number_B, tokens: int, k: int, seed: int) -> jax.Array:
    """u_BAC in [0, 1); what a row gets depends on its number alone."""

    def one(number):
        return jax.random.uniform(jax.random.fold_in(jax.random.key(seed), number), (tokens, k))

    return jax.vmap(one)(number_B)


def _samples(logits_BXV, u_BXC) -> tuple[jax.Array, jax.Array, None]:
    """Draws of each token's distribution, by its inverse; samples have no rest."""
    below_BXV = jnp.cumsum(jax.nn.softmax(logits_BXV), axis=-1)
    # "right": a draw of exactly 0 must not give a first token of probability 0.
    search = jax.vmap(jax.vmap(functools.partial(jnp.searchsorted, side="right")))
    # The sum of a softmax is not exactly 1 in float32, so draws are scaled to what it is.
    ids_BXC = search(below_BXV, u_BXC * below_BXV[..., -1:])
    # Rounding can place a draw behind the last token.
    ids_BXC = jnp.minimum(ids_BXC, logits_BXV.shape[-1] - 1).astype(jnp.int32)
    # k draws weigh 1/k each; a token drawn twice is there twice, which the loss adds up.
    return ids_BXC, jnp.full(u_BXC.shape, -np.log(u_BXC.shape[-1]), jnp.float16), None
