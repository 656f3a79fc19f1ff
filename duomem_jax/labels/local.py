"""A model of ours as the one who labels."""

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from duomem_jax.base.errors import UserError
from duomem_jax.data.pack import VIEWS, Rows, positions_in_segments
from duomem_jax.data.targets import Kind, pack_ids
from duomem_jax.lora.open import content_name
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.mesh.sharding import make_mesh, model_shardings, put_batch, use_mesh
from duomem_jax.models.hf import fingerprint, load_config
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model
from duomem_jax.models.platform import platform
from duomem_jax.models.shapes import tree_bytes, weight_shapes
from duomem_jax.objectives.candidates import with_rest
from duomem_jax.objectives.chunked import in_chunks
from duomem_jax.objectives.replies import front, next_tokens
from duomem_jax.text.tokenizer import load_tokenizer, vocabulary_fingerprint

RECALL = 0.98  # of the approximate search on TPU, which takes a hundredth of the exact one's time


class ModelScorer:
    """Reads packed rows and gives its distributions over their replies; see `label.Scorer`."""

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
        if not 1 < k < config.vocab_size:
            raise UserError(f"k is {k}; give 2 to {config.vocab_size - 1}, below the vocabulary")
        if temperature <= 0:
            raise UserError(f"temperature is {temperature}; give a number above 0")
        self.name = content_name(str(folder))
        self.kind, self.candidates, self.vocab = kind, k, config.vocab_size
        self.vocabulary = vocabulary_fingerprint(load_tokenizer(folder))
        self.config: dict[str, Any] = {
            "teacher": fingerprint(folder),
            "kind": kind,
            "k": k,
            "temperature": temperature,
            "dtype": dtype,
        } | ({"seed": seed} if kind == "samples" else {})
        self._model, self._seed, self._temperature = Model(config), seed, temperature
        self._rows = rows * jax.device_count()
        held = tree_bytes(weight_shapes(self._model, dtype))
        self._mesh = make_mesh(MeshConfig(), self._rows, held)
        self._folder = folder
        self._params: Any = None

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """See `label.Scorer`; the weights are there meanwhile."""
        with use_mesh(self._mesh):
            shardings = model_shardings(self._model, self._mesh)["params"]
            self._params = load_pretrained(self._folder, self.config["dtype"], shardings)[1]
        yield
        self._params = None

    def __call__(self, rows: Rows, first: int, tokens: int) -> Rows:
        """See `label.Scorer`."""
        parts = range(0, len(rows), self._rows)
        return [
            found
            for at in parts
            for found in self._batch(rows[at : at + self._rows], first + at, tokens)
        ]

    def _batch(self, rows: Rows, first: int, tokens: int) -> Rows:
        view = VIEWS[1] if VIEWS[1] + "tokens" in rows[0] else VIEWS[0]
        # A last, short batch is filled up, so that one shape is compiled.
        padded = rows + rows[-1:] * (self._rows - len(rows))
        batch = {
            name: np.stack([row[view + name] for row in padded]).astype(np.int32)
            for name in ("tokens", "segment_ids", "loss_mask")
        }
        batch["positions"] = positions_in_segments(batch["segment_ids"])
        batch["number"] = first + np.arange(self._rows, dtype=np.int32)
        with use_mesh(self._mesh):
            found = self._score(tokens)(self._params, put_batch(batch, self._mesh))
        host = jax.device_get(found)
        host |= pack_ids(host["target_ids"], self.vocab)
        return [{name: x[i] for name, x in host.items()} for i in range(len(rows))]

    @functools.cache  # noqa: B019 - a scorer lives as long as its program
    def _score(self, tokens: int) -> Any:
        return jax.jit(functools.partial(self._targets, tokens))

    def _targets(self, tokens: int, params: Any, batch: dict) -> dict[str, jax.Array]:
        inputs = batch["tokens"], batch["positions"], batch["segment_ids"]
        x_BTD = self._model.hidden(params, *inputs)
        next_BT, mask_BT = next_tokens(batch)
        live_BM, (x_BMD, next_BM) = front(mask_BT, (x_BTD, next_BT), tokens)
        head = self._model.head(params)

        def one(chunk):
            x_BCD, extra = chunk
            logits_BCV = head(x_BCD) / self._temperature
            if self.kind == "topk":
                return likeliest(logits_BCV, extra, self.candidates)
            return _samples(logits_BCV, extra)

        extra = next_BM
        if self.kind == "samples":
            extra = _uniforms(batch["number"], tokens, self.candidates, self._seed)
        found = jax.lax.map(one, in_chunks((x_BMD, extra), self.vocab))
        joined = {
            name: jnp.moveaxis(y, 0, 1).reshape(len(x_BMD), -1, *y.shape[3:])[:, :tokens]
            for name, y in found.items()
        }
        return joined | {"target_mask": live_BM.astype(jnp.uint8)}


def likeliest(logits_BCV, next_BC, k: int) -> dict[str, jax.Array]:
    """The written token, then the k - 1 likeliest others."""
    log_p_BCV = jax.nn.log_softmax(logits_BCV)
    ours_BCV = jnp.arange(logits_BCV.shape[-1]) == next_BC[..., None]
    others_BCV = jnp.where(ours_BCV, -jnp.inf, log_p_BCV)
    if platform() == "tpu":
        top, ids = jax.lax.approx_max_k(others_BCV, k - 1, recall_target=RECALL)
    else:
        top, ids = jax.lax.top_k(others_BCV, k - 1)
    written = jnp.take_along_axis(log_p_BCV, next_BC[..., None], axis=-1)
    log_p_BCK = jnp.concatenate([written, top], axis=-1)
    return {
        "target_ids": jnp.concatenate([next_BC[..., None], ids], axis=-1).astype(jnp.int32),
        "target_log_probs": log_p_BCK.astype(jnp.float16),
        "target_rest": with_rest(log_p_BCK)[..., -1].astype(jnp.float16),
    }


def _uniforms(rows_B, tokens: int, k: int, seed: int) -> jax.Array:
    """u_BMK in [0, 1); what a row gets depends on its number alone."""

    def one(row):
        return jax.random.uniform(jax.random.fold_in(jax.random.key(seed), row), (tokens, k))

    return jax.vmap(one)(rows_B)


def _samples(logits_BCV, u_BCK) -> dict[str, jax.Array]:
    """Draws of each token's distribution, by its inverse."""
    below_BCV = jnp.cumsum(jax.nn.softmax(logits_BCV), axis=-1)
    search = jax.vmap(jax.vmap(functools.partial(jnp.searchsorted, side="right")))
    ids_BCK = search(below_BCV, u_BCK * below_BCV[..., -1:])
    weight = jnp.full(u_BCK.shape, -np.log(u_BCK.shape[-1]), jnp.float16)
    most = logits_BCV.shape[-1] - 1
    return {"target_ids": jnp.minimum(ids_BCK, most).astype(jnp.int32), "target_log_probs": weight}
