"""What becomes of one dialogue."""

from typing import NamedTuple

from duomem_jax.records.demonstrations import Demonstration


class Shown(NamedTuple):
    """What is shown of one dialogue.

    Attributes:
        demonstrations: of one operation.
        counts: of what is to be told beside them; they are summed over dialogues.
    """

    demonstrations: list[Demonstration]
    counts: dict[str, int]
