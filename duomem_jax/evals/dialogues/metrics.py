"""How well a reply answers a question whose key is known.

Other projects' "F1" on LoCoMo is often of sets of words without stems, so tables are comparable
only where they say which one they hold. Ours is that of LoCoMo's own code.
"""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

import numpy as np

from duomem_jax.evals.dialogues.words import normalized, rouge_words, stem, stems
from duomem_jax.memory.embed import Embedder
from duomem_jax.records.dialogues import ADVERSARIAL, MULTI_HOP, OPEN_DOMAIN, Question

F1, EXACT, ROUGE_L = "f1", "exact match", "rouge-l"
METEOR = "meteor without wordnet"  # without synonyms: it is lower than METEOR
SIMILARITY = "embedding similarity"
# Of its L, MemLoRA (arXiv 2512.04763) says which kinds of scores it is made of and not how.
COMPOSITE = "composite (our mean)"

# The replies that LoCoMo's code takes as right where the dialogue does not say.
NOT_TOLD = ("no information available", "not mentioned")


def key_of(question: Question, *, corrected: bool = False) -> str:
    """The key of a question: as published, or as an audit corrected it where it did."""
    return (question.corrected if corrected else "") or question.answer


def score(
    replies: Sequence[str],
    questions: Sequence[Question],
    embedder: Embedder | None = None,
    *,
    corrected: bool = False,
) -> list[dict[str, float]]:
    """All scores of each reply, from 0 to 1.

    Args:
        replies: one for each question.
        questions: `ADVERSARIAL` ones have `F1` alone: 1 where the reply says that it was not told.
        embedder: for the similarity, and the composite with it; None: neither.
        corrected: use the keys of the audit.
    """
    keys = [key_of(question, corrected=corrected) for question in questions]
    scores = []
    for reply, key, question in zip(replies, keys, questions, strict=True):
        row = {F1: locomo_f1(reply, key, question.kind)}
        if question.kind != ADVERSARIAL:
            row |= {
                EXACT: exact_match(reply, key),
                ROUGE_L: rouge_l(reply, key),
                METEOR: meteor_without_wordnet(reply, key),
            }
        scores.append(row)
    if embedder is not None:
        told = [i for i, question in enumerate(questions) if question.kind != ADVERSARIAL]
        found = similarity([replies[i] for i in told], [keys[i] for i in told], embedder)
        for i, cosine in zip(told, found, strict=True):
            row = scores[i]
            row[SIMILARITY] = cosine
            row[COMPOSITE] = fmean((row[ROUGE_L], row[METEOR], cosine))
    return scores


def locomo_f1(reply: str, key: str, kind: str) -> float:
    """What LoCoMo's code gives a reply to a question of a kind (`records.dialogues.KINDS`).

    Several answers, parted by commas, are each compared with the part of the reply that fits best.
    What follows a semicolon in an open-domain key is its reason. Whoever was asked what the
    dialogue does not tell has to say so.
    """
    if kind == ADVERSARIAL:
        return float(any(words in reply.lower() for words in NOT_TOLD))
    if kind == MULTI_HOP:
        parts = reply.split(",")
        return fmean(max(token_f1(part, one) for part in parts) for one in key.split(","))
    return token_f1(reply, key.partition(";")[0] if kind == OPEN_DOMAIN else key)


def token_f1(reply: str, key: str) -> float:
    """F1 of the stems of two texts, each counted as often as it occurs."""
    said, wanted = stems(reply), stems(key)
    same = (Counter(said) & Counter(wanted)).total()
    # Without this a reply without words would divide by 0.
    return 2 * same / (len(said) + len(wanted)) if same else 0.0


def exact_match(reply: str, key: str) -> float:
    """1 where both are one text up to case, punctuation, articles and "and"."""
    return float(normalized(reply) == normalized(key))


def rouge_l(reply: str, key: str) -> float:
    """ROUGE-L F1 (Lin 2004): of the longest common subsequence of stems."""
    said, wanted = rouge_words(reply), rouge_words(key)
    if not said or not wanted:
        return 0.0
    # lengths[j]: of the longest one in the words read so far and the first j of the key.
    lengths = [0] * (len(wanted) + 1)
    for word in said:
        before = 0
        for j, other in enumerate(wanted):
            here = lengths[j + 1]
            lengths[j + 1] = before + 1 if word == other else max(here, lengths[j])
            before = here
    return 2 * lengths[-1] / (len(said) + len(wanted))


class _NoWordNet:
    """WordNet needs a download, so no word has a synonym."""

    def synsets(self, word: str) -> list[object]:
        return []


class _Stemmer:
    def stem(self, word: str) -> str:
        return stem(word)


def meteor_without_wordnet(reply: str, key: str) -> float:
    """METEOR (Banerjee and Lavie 2005) of equal words and equal stems; synonyms do not count."""
    # Importing it takes a second or two, and whoever answers questions has no need of it.
    from nltk.translate.meteor_score import single_meteor_score

    said, wanted = normalized(reply).split(), normalized(key).split()
    if not said or not wanted:
        return 0.0
    return float(single_meteor_score(wanted, said, stemmer=_Stemmer(), wordnet=_NoWordNet()))


def similarity(replies: Sequence[str], keys: Sequence[str], embedder: Embedder) -> list[float]:
    """Cosine of each reply and its key, 0 where it is negative.

    It is what A-Mem's tables call SBERT similarity where the embedder is `minilm`.
    """
    if not replies:
        return []
    rows_ME = embedder.embed([*replies, *keys])
    cosines = np.sum(rows_ME[: len(replies)] * rows_ME[len(replies) :], axis=1)
    return [float(cosine) for cosine in np.clip(cosines, 0, 1)]
