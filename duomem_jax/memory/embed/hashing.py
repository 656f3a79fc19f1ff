"""Hashed word and letter n-grams: no download, and equal vectors on every machine.

Words decide, letter n-grams bring inflections and compounds ("mug", "mugs") together. Python's
own `hash` differs from process to process, so BLAKE2 is used.
"""

import functools
import hashlib
import itertools
import re

import numpy as np

from duomem_jax.base.errors import UserError
from duomem_jax.memory.embed import unit_rows
from duomem_jax.memory.retrieve.terms import terms

# They carry the grammar of a task text, not its goal; numbers change the whole procedure.
_STOP = frozenset(re.findall(r"\w+", "a an the some it them to in on of and or with is are your"))
_NUMBERS = frozenset({"two", "three", "four", "both", "twice"})
_WEIGHTS = {"word": 1.0, "number": 2.0, "pair": 0.5, "letters": 0.3}
_LARGEST = 2**16  # dimensions; each text takes four bytes of one


class HashingEmbedder:
    """Signed feature hashing into `size` dimensions."""

    # Among ALFWorld's 988 training texts no two goals reach it, and of the pairs that word one
    # goal differently three in five do; the others still share their script.
    same = 0.87

    def __init__(self, size: str | int = 2048) -> None:
        try:
            self._size = int(size)
        except ValueError:
            self._size = 0
        if not 1 <= self._size <= _LARGEST:
            raise UserError(
                f"embedder=hashing:{size}: the part after the colon is the number of "
                f"dimensions; omit it or give a whole number of at most {_LARGEST:,}"
            )
        # Banks are refused by this name: whoever changes features or weights raises the version.
        self.name = f"hashing-v1:{self._size}"

    def embed(self, texts: list[str]) -> np.ndarray:
        """Unit rows float32[M, E]; a text without any word is a zero row."""
        vectors = np.zeros((len(texts), self._size), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for feature, weight in _features(text):
                slot, sign = _hash(feature, self._size)
                row[slot] += sign * weight
        return unit_rows(vectors)


def _features(text: str) -> list[tuple[str, float]]:
    # A text without any Latin letter or digit is taken by its terms. Others keep the features that
    # stored banks have, and so the version.
    words = re.findall(r"[a-z]+|\d+", text.lower()) or terms(text)
    words = [w for w in words if w not in _STOP]
    features = [
        (f"word {w}", _WEIGHTS["number" if w in _NUMBERS or w.isdigit() else "word"]) for w in words
    ]
    features += [(f"pair {a} {b}", _WEIGHTS["pair"]) for a, b in itertools.pairwise(words)]
    for word in words:
        # The edges tell the beginning and the end of a word from letters in its middle.
        edged = f"<{word}>"
        grams = [edged[i : i + n] for n in (3, 4) for i in range(len(edged) - n + 1)]
        # One word's letters together weigh the same however long the word is.
        features += [(f"letters {g}", _WEIGHTS["letters"] / len(grams) ** 0.5) for g in grams]
    return features


# Tasks are made of few words, so nearly every feature has been hashed before.
@functools.lru_cache(maxsize=100_000)
def _hash(feature: str, size: int) -> tuple[int, int]:
    digest = hashlib.blake2b(feature.encode(), digest_size=8).digest()
    number = int.from_bytes(digest, "little")
    # The sign makes two features that share a place cancel as often as add up.
    # Its bit is shifted out of the place, so that the two are independent.
    return (number >> 1) % size, 1 if number & 1 else -1
