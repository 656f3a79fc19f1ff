"""A sentence-transformers model as embedder (the extra `embed`)."""

import numpy as np

from duomem_jax.base.errors import UserError, first_line
from duomem_jax.memory.embed import unit_rows

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


class SentenceTransformersEmbedder:
    """Any model that `SentenceTransformer(model)` loads.

    Raises:
        UserError: the package is not installed or the model cannot be loaded.
    """

    # Learnt embeddings lie closer together than hashed ones, and how close depends on the model.
    same = 0.95

    def __init__(self, model: str = DEFAULT_MODEL) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as e:
            raise UserError(
                f"embedder=sentence-transformers:{model}: the package is missing; install "
                "duomem-jax[embed] or choose embedder=hashing"
            ) from e
        try:
            self._model = SentenceTransformer(model)
        except (OSError, ValueError) as e:
            raise UserError(
                f"embedder=sentence-transformers:{model}: not loadable "
                f"({first_line(e)}); give a model folder or hub name"
            ) from e
        self.name = f"sentence-transformers:{model}"

    def embed(self, texts: list[str]) -> np.ndarray:
        """Unit rows float32[M, E]."""
        return unit_rows(self._model.encode(texts, convert_to_numpy=True))
