"""An OpenAI-compatible `/embeddings` endpoint as embedder.

The address is `OPENAI_BASE_URL` (default: OpenAI's own) and the key `OPENAI_API_KEY`; a local
server needs no key.
"""

import os
import time
from typing import Any

import httpx
import numpy as np

from duomem_jax.errors import UserError
from duomem_jax.memory.embed import unit_rows

BATCH = 256
ATTEMPTS = 6
_RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504})


class OpenAIEmbedder:
    """Embeds in batches; retries overload and broken connections with growing pauses.

    Args:
        base_url: without `/embeddings`; None reads `OPENAI_BASE_URL`.
        pause: seconds before the first retry, doubled each time unless the server says.
    """

    # Learnt embeddings lie closer together than hashed ones, and how close depends on the model.
    same = 0.95

    def __init__(
        self,
        model: str = "text-embedding-3-small",
        *,
        base_url: str | None = None,
        pause: float = 1.0,
    ) -> None:
        default = "https://api.openai.com/v1"
        self._base = (base_url or os.environ.get("OPENAI_BASE_URL") or default).rstrip("/")
        self._model, self._pause = model, pause
        self.name = f"openai:{model}"
        key = os.environ.get("OPENAI_API_KEY")
        if not key and self._base == default:
            raise UserError(
                "embedder=openai: OPENAI_API_KEY is not set; set it, or OPENAI_BASE_URL to a "
                "server that needs no key"
            )
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(timeout=60, headers=headers)

    def embed(self, texts: list[str]) -> np.ndarray:
        """Unit rows float32[M, E].

        Raises:
            UserError: the server refuses, stays unreachable or answers something else.
        """
        batches = [texts[i : i + BATCH] for i in range(0, len(texts), BATCH)]
        rows = [self._rows(self._post(batch), len(batch)) for batch in batches]
        if len({r.shape[1] for r in rows}) > 1:
            raise self._malformed("vectors of different lengths")
        return unit_rows(np.concatenate(rows)) if rows else np.zeros((0, 0), np.float32)

    def _post(self, texts: list[str]) -> Any:
        url = f"{self._base}/embeddings"
        body = {"model": self._model, "input": texts, "encoding_format": "float"}
        why = ""
        for attempt in range(ATTEMPTS):
            wait = self._pause * 2**attempt
            try:
                reply = self._client.post(url, json=body)
            except httpx.TransportError as e:
                why = f"no answer ({e})"
            else:
                if reply.is_success:
                    return self._json(reply)
                why = f"status {reply.status_code} ({reply.text[:200]!r})"
                if reply.status_code not in _RETRIED:
                    break
                wait = _seconds(reply.headers.get("retry-after"), wait)
            if attempt + 1 < ATTEMPTS:
                time.sleep(wait)
        raise UserError(f"{url}: {why}; check the address, the key and the model {self._model!r}")

    def _json(self, reply: httpx.Response) -> Any:
        try:
            return reply.json()
        except ValueError as e:
            raise self._malformed("no JSON") from e

    def _rows(self, body: Any, n: int) -> np.ndarray:
        try:
            # Servers may answer out of order; `index` says which text a row belongs to.
            data = sorted(body["data"], key=lambda item: item["index"])
            rows = np.asarray([item["embedding"] for item in data], np.float32)
            order = [item["index"] for item in data]
        except (KeyError, TypeError, ValueError) as e:
            raise self._malformed(f"{type(e).__name__}: {e}") from e
        well = rows.ndim == 2 and rows.shape[1] > 0 and np.isfinite(rows).all()
        if order != list(range(n)) or not well:
            raise self._malformed(f"not {n} vectors of one length")
        return rows

    def _malformed(self, what: str) -> UserError:
        return UserError(
            f"{self._base}/embeddings: the answer is not an embeddings reply ({what}); check "
            "that the address is an OpenAI-compatible server"
        )


def _seconds(header: str | None, default: float) -> float:
    """Seconds of a Retry-After header, at most a minute; its date form is not worth parsing."""
    try:
        return min(float(header), 60.0) if header else default
    except ValueError:
        return default
