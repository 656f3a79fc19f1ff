"""How large generated dialogues are."""

from typing import Annotated

from annotated_types import Interval

from duomem_jax.base.ranges import options


@options
class Size:
    """How large a dialogue is. LoCoMo's have about 30 sessions of 20 turns, and 200 questions."""

    sessions: Annotated[int, Interval(ge=1, le=200)] = 6  # days or weeks apart
    turns: Annotated[int, Interval(ge=8, le=100)] = 16  # about so many a session
    questions: Annotated[int, Interval(ge=0, le=1000)] = 20  # at most so many each
