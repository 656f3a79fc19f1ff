"""The nearest of many vectors, in a few milliseconds for 100,000.

A product of a query with all vectors reads all their numbers from memory, which for 100,000 of 384
dimensions takes two processor cores more than 10 ms. So many vectors are first compared by a few
numbers each, their coordinates along the directions in which vectors differ most, and only the best
of these by all of theirs. Up to `EXACT` vectors nothing is approximated.
"""

from dataclasses import dataclass

import numpy as np

EXACT = 16_384  # vectors; one more and they are sketched
_WIDTH = 64  # numbers of a sketch
_SAMPLE = 8_192  # vectors that directions, mean and deviation are computed from
_COMPARED = 1_000  # vectors that are compared by all their numbers, at least


@dataclass(frozen=True)
class Near:
    """Rows and their cosines with a query.

    Attributes:
        rows_M: rising.
        cosines_M: of these rows, exact.
        mean: of the cosines of all rows.
        deviation: of the cosines of all rows, to about 1 % where they are sketched.
    """

    rows_M: np.ndarray
    cosines_M: np.ndarray
    mean: float
    deviation: float


@dataclass(frozen=True)
class _Sketch:
    """Vectors by few numbers.

    Attributes:
        vectors_ME: what it is of. Held on to, so that no other array gets its place in memory.
        directions_EP: orthonormal; P is the width of the sketch.
        rows_MP: the vectors along them.
        moments_EE: mean of the outer product of each vector with itself.
        mean_E: of the vectors.
    """

    vectors_ME: np.ndarray
    directions_EP: np.ndarray
    rows_MP: np.ndarray
    moments_EE: np.ndarray
    mean_E: np.ndarray


class Scan:
    """Finds the nearest rows; keeps the sketch of the last vectors that needed one."""

    def __init__(self) -> None:
        self._sketch: _Sketch | None = None

    def near(
        self,
        vectors_ME: np.ndarray,
        query_E: np.ndarray,
        limit: int,
        wanted_M: np.ndarray | None = None,
    ) -> Near:
        """The `limit` nearest rows, and those that are wanted in any case.

        Args:
            vectors_ME: never written to after it was given.
            query_E: a unit vector.
            limit: how many.
            wanted_M: rows whose cosine is asked for.
        """
        if len(vectors_ME) == 0:
            return Near(np.zeros(0, np.int64), np.zeros(0, np.float32), 0.0, 0.0)
        if len(vectors_ME) <= EXACT:
            cosines_M = vectors_ME @ query_E
            rows_M = _with(wanted_M, _highest(cosines_M, limit))
            mean, deviation = float(cosines_M.mean()), float(cosines_M.std())
            return Near(rows_M, cosines_M[rows_M], mean, deviation)
        # An own name: another thread may replace the attribute meanwhile.
        sketch = self._sketch = _sketch(vectors_ME, self._sketch)
        about_M = sketch.rows_MP @ (query_E @ sketch.directions_EP)
        compared_M = _highest(about_M, max(_COMPARED, 10 * limit))
        exact_M = vectors_ME[compared_M] @ query_E
        rows_M = _with(wanted_M, compared_M[_highest(exact_M, limit)])
        mean = float(sketch.mean_E @ query_E)
        square = float(query_E @ sketch.moments_EE @ query_E)
        return Near(rows_M, vectors_ME[rows_M] @ query_E, mean, max(square - mean**2, 0) ** 0.5)


def _sketch(vectors_ME: np.ndarray, before: _Sketch | None) -> _Sketch:
    """The sketch of vectors; what is known of it already is not computed again."""
    known = 0
    if before is not None and _is_beginning(before.vectors_ME, vectors_ME):
        if len(before.vectors_ME) == len(vectors_ME):
            return before
        known = len(before.vectors_ME)
    # Directions stay right while vectors are added, until these are half as many again.
    if before is None or not known or len(vectors_ME) > 1.5 * known:
        step = -(-len(vectors_ME) // _SAMPLE)
        sample_ME = vectors_ME[::step]
        moments_EE = sample_ME.T @ sample_ME / len(sample_ME)
        # Of a symmetric matrix, with the largest value last.
        directions_EP = np.linalg.eigh(moments_EE)[1][:, -_WIDTH:].astype(np.float32)
        rows_MP = vectors_ME @ directions_EP
        return _Sketch(vectors_ME, directions_EP, rows_MP, moments_EE, sample_ME.mean(0))
    rows_MP = np.concatenate([before.rows_MP, vectors_ME[known:] @ before.directions_EP])
    return _Sketch(vectors_ME, before.directions_EP, rows_MP, before.moments_EE, before.mean_E)


def _is_beginning(part_ME: np.ndarray, whole_ME: np.ndarray) -> bool:
    """Whether `part_ME` is the same memory as the first rows of `whole_ME`."""
    return (
        part_ME.ctypes.data == whole_ME.ctypes.data
        and part_ME.shape[1:] == whole_ME.shape[1:]
        and part_ME.strides == whole_ME.strides
        and len(part_ME) <= len(whole_ME)
    )


def _highest(scores_M: np.ndarray, limit: int) -> np.ndarray:
    """Positions of the highest scores, in no order."""
    if limit >= len(scores_M):
        return np.arange(len(scores_M))
    if limit < 1:
        return np.zeros(0, np.int64)
    return np.argpartition(scores_M, len(scores_M) - limit)[len(scores_M) - limit :]


def _with(wanted_M: np.ndarray | None, rows_M: np.ndarray) -> np.ndarray:
    return np.unique(rows_M if wanted_M is None else np.concatenate([rows_M, wanted_M]))
