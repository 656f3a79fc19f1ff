"""What an audit found, by model, set of windows and training seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from duomem_jax.evals.audit.memorization import Score
from duomem_jax.evals.audit.subjects import BASE, TEACHER

Seeds = Sequence[Sequence[Score]]  # of one model on one set: n adapters (training seeds), W windows


@dataclass(frozen=True)
class ModelScores:
    """What one model, or all training seeds of one student, make of the windows.

    Attributes:
        model: its name.
        sets: name of a set of windows -> one list for each seed, in the order of the windows,
            which is the same for all models.
    """

    model: str
    sets: Mapping[str, Seeds]


@dataclass(frozen=True)
class AuditScores:
    """The scores of all models of one audit, in the order in which they are reported."""

    models: Sequence[ModelScores]

    @property
    def base(self) -> ModelScores:
        """The base model, which every audit has."""
        return next(m for m in self.models if m.model == BASE)

    @property
    def teacher(self) -> ModelScores | None:
        """The teacher; None: the audit has none."""
        return next((m for m in self.models if m.model == TEACHER), None)

    @property
    def students(self) -> list[ModelScores]:
        """The adapters' models."""
        return [m for m in self.models if m.model not in (BASE, TEACHER)]

    def games(self, name: str) -> np.ndarray:
        """str[W], the game of each window of the set `name`."""
        return np.array([score.game_id for score in self.base.sets[name][0]])
