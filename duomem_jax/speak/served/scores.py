"""How probable a served model finds given tokens: teacher targets from vLLM.

vLLM adds `prompt_logprobs` to `/completions`: for each position a few likeliest tokens and the one
that stands there. (vLLM, entrypoints/openai/completion: `prompt_logprobs` of a choice is a list
with null first, then {token id: {"logprob", "rank", "decoded_token"}}; -inf is written -9999.)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from duomem_jax.base.errors import UserError
from duomem_jax.speak.served.http import MalformedError
from duomem_jax.speak.served.model import Request

EMPTY = -1  # id in an unused place; its log-probability is -inf


@dataclass(frozen=True)
class PromptScores:
    """Log-probabilities of candidates for each token of a sequence but the first.

    Row t is about token t+1, given all before it. The k likeliest come first, likeliest first; the
    realised token is among them or, where it is less likely, in place k, unused elsewhere.

    Attributes:
        ids: int32 [T-1, k+1], `EMPTY` where unused.
        logprobs: float32 [T-1, k+1], natural logarithms, -inf where unused.
    """

    ids: np.ndarray
    logprobs: np.ndarray


def score_request(model: str, token_ids: Sequence[int], k: int) -> Request[PromptScores]:
    """The request that scores one sequence.

    Raises:
        ValueError: fewer than 2 tokens, or k below 1.
    """
    ids = [int(i) for i in token_ids]
    if len(ids) < 2 or k < 1:
        raise ValueError(f"{len(ids)} tokens and k={k}: nothing to score")
    # vLLM writes at least one token; greedily, since nobody reads it.
    body = {"model": model, "prompt": ids, "max_tokens": 1, "temperature": 0, "prompt_logprobs": k}
    return Request("completions", body, partial(read_scores, token_ids=ids, k=k))


def read_scores(body: Any, token_ids: Sequence[int], k: int) -> PromptScores:
    """Take the answer to a `score_request` apart.

    Raises:
        MalformedError: it is not about these tokens, or no log-probabilities.
        UserError: the server does not know `prompt_logprobs`.
    """
    try:
        choice = body["choices"][0]
        positions = choice.get("prompt_logprobs")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise MalformedError(f"no choices[0] in {str(body)[:200]!r}") from None
    # Not malformed: a server that does not know the field ignores it, now and on every retry.
    if positions is None:
        raise UserError(
            "the server answered without prompt_logprobs, so it cannot score given text; use vLLM"
        )
    T = len(token_ids)
    if not isinstance(positions, list) or len(positions) != T or positions[0] is not None:
        raise MalformedError(f"prompt_logprobs is not null and {T - 1} positions")
    # C = k + 1: a place for the realised token where it is not among the k likeliest.
    ids_TC = np.full((T - 1, k + 1), EMPTY, np.int32)
    logprobs_TC = np.full((T - 1, k + 1), -np.inf, np.float32)
    for t, (token, entry) in enumerate(zip(token_ids[1:], positions[1:], strict=True)):
        try:
            found = _candidates(entry, token, k)
        except (ValueError, TypeError, KeyError, OverflowError) as e:
            raise MalformedError(f"prompt_logprobs[{t + 1}]: {e}") from e
        ids_TC[t, : len(found)], logprobs_TC[t, : len(found)] = zip(*found, strict=True)
    return PromptScores(ids_TC, logprobs_TC)


def _candidates(entry: Any, realised: int, k: int) -> list[tuple[int, float]]:
    """(id, log-probability), likeliest first, the realised token last if it is not of the k."""
    if not isinstance(entry, dict):
        raise ValueError(f"{type(entry).__name__} where candidates by token id were expected")
    # JSON's keys are text, so ids come as "123".
    found = {int(token): float(facts["logprob"]) for token, facts in entry.items()}
    if realised not in found:
        raise ValueError(f"the realised token {realised} is missing")
    # The ids go into an int32 array.
    if not k <= len(found) <= k + 1 or not 0 <= min(found) <= max(found) < 2**31:
        raise ValueError(f"token ids {sorted(found)}, not {k} or {k + 1} of them")
    values = sorted(found.values())
    # A little above 1, as rounded log-probabilities may add up to more than 1.
    if not all(map(math.isfinite, values)) or math.fsum(map(math.exp, values)) > 1.01:
        raise ValueError(f"{values} are not log-probabilities of different tokens")
    outside = len(found) > k
    if outside and found[realised] > values[0]:
        raise ValueError(f"{k + 1} candidates, of which the realised token is not the last")
    # Ids decide ties, so that equal answers make equal rows in whatever order their keys come.
    return sorted(found.items(), key=lambda c: (outside and c[0] == realised, -c[1], c[0]))
