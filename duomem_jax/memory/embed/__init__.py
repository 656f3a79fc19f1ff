"""Text embedders by name: one file, one line here, one test to add another."""

import importlib
from typing import Protocol

import numpy as np

from duomem_jax.base.errors import UserError


class Embedder(Protocol):
    """Turns texts into unit vectors.

    Attributes:
        name: model and version; banks embedded under another name are refused.
        same: cosine from which on two texts count as the same task.
    """

    name: str
    same: float

    def embed(self, texts: list[str]) -> np.ndarray:
        """Unit rows float32[M, E] of M texts."""


DEFAULT_EMBEDDER = "hashing"  # needs no weights, no network

# Named, not imported: each of these modules imports this one, and only the one that is chosen has
# to be loaded.
EMBEDDERS = {
    "hashing": "duomem_jax.memory.embed.hashing:HashingEmbedder",
    "minilm": "duomem_jax.memory.embed.minilm:MiniLMEmbedder",
    "sentence-transformers": (
        "duomem_jax.memory.embed.sentence_transformers:SentenceTransformersEmbedder"
    ),
    "openai": "duomem_jax.memory.embed.openai:OpenAIEmbedder",
}


def make_embedder(spec: str = DEFAULT_EMBEDDER) -> Embedder:
    """Embedder of "name" or "name:model", such as "openai:text-embedding-3-small".

    Raises:
        UserError: unknown name, or the embedder lacks a model, package or key.
    """
    name, _, model = spec.partition(":")
    if name not in EMBEDDERS:
        raise UserError(f"embedder={spec}: unknown; choose one of {', '.join(EMBEDDERS)}")
    module, _, cls = EMBEDDERS[name].partition(":")
    build = getattr(importlib.import_module(module), cls)
    return build(model) if model else build()


def unit_rows(vectors_ME: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1 as float32; a zero row stays zero."""
    vectors_ME = np.asarray(vectors_ME, np.float32)
    norms = np.linalg.norm(vectors_ME, axis=1, keepdims=True)
    # A text of which the embedder knows no word has length 0, and must not become NaN.
    return vectors_ME / np.where(norms > 0, norms, 1)
