"""One way to train a student's adapter in a comparison."""

import dataclasses
from typing import Literal

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import slug
from duomem_jax.base.ranges import Share, options
from duomem_jax.objectives.config import ObjectiveConfig
from duomem_jax.stages.label import Label
from duomem_jax.stages.lessons import Lessons
from duomem_jax.train.config import OnPolicyConfig


@options
class Recipe:
    """What sets one adapter apart from the others; everything else they share.

    Text needs no teacher. Otherwise the teacher is in the loop, unless its targets are stored.
    """

    name: str = "LoRA"  # row of the table
    objective: ObjectiveConfig = dataclasses.field(default_factory=ObjectiveConfig)
    label: Label | None = None  # how targets are stored first; None: they are not
    # What the teacher sees before an episode: the memories that the student sees; always some
    # (context distillation); or never any, for a teacher that has not learnt to read them.
    memories: Literal["as student", "always", "never"] = "as student"
    memory_share: Share | None = None  # of the episodes; None: as the experiment's examples say
    # Made-up tasks in the rooms of the training games, learnt beside the episodes: an adapter that
    # learns them goes on reading. They are told and shown as the episodes are.
    lessons: Lessons | None = None
    start: str = ""  # recipe before this one, whose adapter of the same seed it goes on from
    on_policy: OnPolicyConfig | None = None  # the student plays its rows; games are filled in

    def __post_init__(self) -> None:
        if self.objective.on_chunks and self.memories == "as student":
            raise UserError(
                f"recipe {self.name}: a teacher with another tokenizer is not shown the student's "
                "memories; set memories to always or never"
            )

    @property
    def slug(self) -> str:
        """Its name as a folder's."""
        return slug(self.name)

    @property
    def with_memory(self) -> str:
        """Row of the table where memories are shown, too."""
        return "both" if self.name == "LoRA" else f"{self.name} + memory"


# Tasks that are learnt by heart override the memories of others. An adapter that saw memories
# before every episode goes on reading, all the more after some lessons; without memories it is lost
# (docs/two_spaces.md).
READING = Recipe("reading LoRA", memory_share=1.0, lessons=Lessons())
