"""A served model as the one who labels (vLLM's `prompt_logprobs`)."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from duomem_jax.data.pack import VIEWS, Rows
from duomem_jax.data.targets import Kind, pack_ids
from duomem_jax.objectives.candidates import LOWEST
from duomem_jax.speak.served.model import ServedModel
from duomem_jax.speak.served.scores import PromptScores, score_request
from duomem_jax.speak.served.server import Server
from duomem_jax.text.tokenizer import load_tokenizer, vocabulary_fingerprint


class ServedScorer:
    """Asks for the likeliest tokens of each conversation of a row; see `label.Scorer`.

    A conversation that does not fit into the server's context gets no targets.
    """

    kind: Kind = "topk"

    def __init__(self, name: str, tokenizer: str, server: Server, record: Path, *, k: int) -> None:
        """Get ready; nothing is sent yet.

        Args:
            name: of the model, as the server knows it.
            tokenizer: Hugging Face folder of its tokenizer.
            server: where and how hard to ask.
            record: where answers are kept, see `ServedModel`.
            k: candidates.

        Raises:
            UserError: no such tokenizer.
        """
        loaded = load_tokenizer(tokenizer)
        self.name, self.candidates, self.vocab = name, k, len(loaded)
        self.vocabulary = vocabulary_fingerprint(loaded)
        self.config: dict[str, Any] = {
            "teacher": f"served: {name}",
            "kind": self.kind,
            "k": k,
            "temperature": 1.0,
        }
        self._server, self._record = server, record
        self._model: ServedModel | None = None

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """While the server may be asked."""
        with ServedModel(self.name, self._server, self._record) as self._model:
            yield

    def __call__(self, rows: Rows, first: int, tokens: int) -> Rows:
        """See `label.Scorer`."""
        assert self._model is not None
        view = VIEWS[1] if VIEWS[1] + "tokens" in rows[0] else VIEWS[0]
        conversations = [
            (number, row[view + "tokens"][at].tolist(), row[view + "loss_mask"][at] > 0)
            for number, row in enumerate(rows)
            for segment in range(1, int(row[view + "segment_ids"].max()) + 1)
            for at in [row[view + "segment_ids"] == segment]
        ]
        requests = (score_request(self.name, ids, self.candidates) for _, ids, _ in conversations)
        out = [self._empty(tokens) for _ in rows]
        filled = [0] * len(rows)
        answers = self._model.ask(requests)
        for (number, ids, mask), scores in zip(conversations, answers, strict=True):
            replies = np.nonzero(mask)[0]
            here = slice(filled[number], filled[number] + len(replies))
            filled[number] = here.stop
            if scores is not None:
                found = _targets(scores, ids, replies, self.candidates)
                found["target_mask"] = np.ones(len(replies), np.uint8)
                for name, values in found.items():
                    out[number][name][here] = values
        return [row | pack_ids(row["target_ids"], self.vocab) for row in out]

    def _empty(self, tokens: int) -> dict[str, np.ndarray]:
        shape = tokens, self.candidates
        return {
            "target_ids": np.zeros(shape, np.int32),
            "target_log_probs": np.zeros(shape, np.float16),
            "target_rest": np.zeros(tokens, np.float16),
            "target_mask": np.zeros(tokens, np.uint8),
        }


def _targets(
    scores: PromptScores, ids: list[int], replies: np.ndarray, k: int
) -> dict[str, np.ndarray]:
    """The written token first, then the k - 1 likeliest others, for the tokens at `replies`."""
    found_TC, log_p_TC = scores.ids[replies - 1], scores.logprobs[replies - 1]
    written_T1 = np.array(ids)[replies, None]
    order = np.argsort(np.where(found_TC == written_T1, -np.inf, -log_p_TC), axis=1, kind="stable")
    order = order[:, :k]
    log_p_TC = np.take_along_axis(log_p_TC, order, axis=1)
    rest_T = np.log(np.maximum(1 - np.exp(log_p_TC.astype(np.float64)).sum(1), np.exp(LOWEST)))
    return {
        "target_ids": np.take_along_axis(found_TC, order, axis=1),
        "target_log_probs": log_p_TC.astype(np.float16),
        "target_rest": rest_T.astype(np.float16),
    }
