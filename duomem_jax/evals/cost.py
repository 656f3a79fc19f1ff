"""What training an adapter took."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class TrainingCost:
    """What training one adapter took."""

    steps: int
    tokens: float  # of replies
    seconds: float
    target_bytes: int
