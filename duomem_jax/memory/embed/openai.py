"""An OpenAI-compatible `/embeddings` endpoint as embedder."""

from typing import Any

import numpy as np

from duomem_jax.base.errors import UserError
from duomem_jax.memory.embed import unit_rows
from duomem_jax.speak.served.http import Client, MalformedError, Sleep, TooLongError
from duomem_jax.speak.served.server import Server

BATCH = 256


class OpenAIEmbedder:
    """Embeds in batches, with the patience of `speak.served.http`.

    Args:
        model: as the server knows it.
        server: where it is; the default reads `OPENAI_BASE_URL` and `OPENAI_API_KEY`.
        sleep: how pauses are made.
    """

    # Learnt embeddings lie closer together than hashed ones, and how close depends on the model.
    same = 0.95

    def __init__(
        self,
        model: str = "text-embedding-3-small",
        *,
        server: Server = Server(),
        sleep: Sleep | None = None,
    ) -> None:
        self._model, self._client = model, Client(server, sleep=sleep)
        self.name = f"openai:{model}"

    def embed(self, texts: list[str]) -> np.ndarray:
        """Unit rows float32[M, E].

        Raises:
            UserError: the server refuses, stays unreachable or answers something else.
        """
        batches = [texts[i : i + BATCH] for i in range(0, len(texts), BATCH)]
        rows = [r for batch in batches for r in self._rows(batch)]
        # Checked across batches: within one, `_vectors` refuses rows of different lengths.
        if len({r.shape[1] for r in rows}) > 1:
            raise UserError(f"embedder={self.name}: vectors of different lengths came back")
        return unit_rows(np.concatenate(rows)) if rows else np.zeros((0, 0), np.float32)

    def _rows(self, texts: list[str]) -> list[np.ndarray]:
        body = {"model": self._model, "input": texts, "encoding_format": "float"}
        try:
            # Read inside the request, so that an answer of another form is asked for again.
            return [self._client.post("embeddings", body, lambda a: _vectors(a, len(texts))).value]
        except TooLongError as e:
            if len(texts) == 1:
                raise UserError(
                    f"embedder={self.name}: a text is too long for the model ({e}), "
                    f"{texts[0][:60]!r}; use another embedder"
                ) from None
        # Perhaps it is only that there are too many at once: servers have limits for that, too.
        half = len(texts) // 2
        return self._rows(texts[:half]) + self._rows(texts[half:])


def _vectors(body: Any, n: int) -> np.ndarray:
    """The n vectors of an embeddings reply."""
    try:
        # Servers may answer out of order; `index` says which text a row belongs to.
        data = sorted(body["data"], key=lambda item: item["index"])
        rows = np.asarray([item["embedding"] for item in data], np.float32)
        order = [item["index"] for item in data]
    except (KeyError, TypeError, ValueError) as e:
        raise MalformedError(f"not an embeddings reply: {type(e).__name__}: {e}") from e
    well = rows.ndim == 2 and rows.shape[1] > 0 and np.isfinite(rows).all()
    # A row too few, or one text answered twice, would shift all keys after it.
    if order != list(range(n)) or not well:
        raise MalformedError(f"not an embeddings reply: not {n} vectors of one length")
    return rows
