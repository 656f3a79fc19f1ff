"""A served model as the one who labels (vLLM's `prompt_logprobs`)."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from duomem_jax.data.rows import Kind
from duomem_jax.objectives import Stored, Tokens
from duomem_jax.objectives.candidates import LOWEST
from duomem_jax.speak.served.model import ServedModel
from duomem_jax.speak.served.scores import PromptScores, score_request
from duomem_jax.speak.served.server import Server
from duomem_jax.text.tokenizer import load_tokenizer, vocabulary_fingerprint


class ServedScorer:
    """Asks for the likeliest tokens of each conversation of a row; a `labels.label.Scorer`.

    A conversation that does not fit into the server's context gets no targets, nor does a token
    where a candidate is none of the tokenizer's.
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

    def __call__(self, rows: Sequence[Tokens], first: int, tokens: int) -> list[Stored]:
        """Targets of each row, in the order of its reply tokens."""
        if self._model is None:
            raise ValueError("enter `ready` first")
        conversations = [c for i, row in enumerate(rows) for c in _conversations(i, row)]
        # One by one, as answers come: requests of a whole block need not be held at once.
        requests = (score_request(self.name, c.ids, self.candidates) for c in conversations)
        out = [self._empty(tokens) for _ in rows]
        # Next free column of each row. It moves on where a conversation has no targets, too: column
        # i is the row's i-th reply token.
        filled = [0] * len(rows)
        for c, scores in zip(conversations, self._model.ask(requests), strict=True):
            start, end = filled[c.row], filled[c.row] + len(c.replies)
            filled[c.row] = end
            if scores is not None:
                _fill(out[c.row], slice(start, end), scores, c, self.candidates, self.vocab)
        return out

    def _empty(self, tokens: int) -> Stored:
        shape = tokens, self.candidates
        return Stored(
            ids_BAC=np.zeros(shape, np.int32),
            log_probs_BAC=np.zeros(shape, np.float16),
            mask_BA=np.zeros(tokens, bool),
            rest_BA=np.zeros(tokens, np.float16),
        )


class _Conversation(NamedTuple):
    """A segment of a packed row, which is a request of its own."""

    row: int
    ids: list[int]
    replies: np.ndarray  # positions of the reply tokens


def _conversations(number: int, row: Tokens) -> Iterator[_Conversation]:
    for segment in range(1, int(row.segments_BT.max()) + 1):
        # Each conversation by itself: a server knows no packing, it would let them see each other.
        own_T = row.segments_BT == segment
        replies = np.nonzero(row.reply_BT[own_T])[0]
        yield _Conversation(number, row.ids_BT[own_T].tolist(), replies)


def _fill(
    out: Stored, here: slice, scores: PromptScores, c: _Conversation, k: int, vocab: int
) -> None:
    """Write the targets of a conversation's replies: the written token, the k - 1 likeliest."""
    # Row t of the scores is about token t + 1. No reply is a first token, so t is never -1.
    found_AC, log_p_AC = scores.ids[c.replies - 1], scores.logprobs[c.replies - 1]
    written_A1 = np.array(c.ids)[c.replies, None]
    # The written token in front, as `ModelScorer` has it, the unused place (-inf) last. At least k
    # places are used, so it is never among the first k.
    order_AC = np.argsort(
        np.where(found_AC == written_A1, -np.inf, -log_p_AC), axis=1, kind="stable"
    )[:, :k]
    log_p_AC = np.take_along_axis(log_p_AC, order_AC, axis=1)
    # In float64: it is a small difference of sums near 1.
    left_A = 1 - np.exp(log_p_AC.astype(np.float64)).sum(1)
    out.ids_BAC[here] = np.take_along_axis(found_AC, order_AC, axis=1)
    out.log_probs_BAC[here] = log_p_AC
    assert out.rest_BA is not None
    out.rest_BA[here] = np.log(np.maximum(left_A, np.exp(LOWEST)))
    # Heads are padded beyond the vocabulary, and the student has no such token: the server did not
    # tell what comes next, so the reply token counts as one without targets.
    out.mask_BA[here] = (out.ids_BAC[here] < vocab).all(-1)
