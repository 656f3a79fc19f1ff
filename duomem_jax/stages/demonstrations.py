"""Dialogues to demonstrations of what an expert is to do."""

import functools
from typing import Literal

from duomem_jax.base.shard import WHOLE
from duomem_jax.memory.teach import Teaching, demonstrate
from duomem_jax.records.store.manifest import content_hash
from duomem_jax.records.store.spec import DIALOGUES
from duomem_jax.records.store.write import WriteReport
from duomem_jax.records.told import read_dialogues, write_demonstrations
from duomem_jax.stages.options import Folder, Part


def demonstrations(
    out: Folder,
    /,
    dialogues: str,
    operation: Literal["extract", "update", "answer"],
    how: Teaching = Teaching(),
    shard: Part = WHOLE,
) -> WriteReport:
    """Write what a teacher shows an expert of one operation, for `duomem examples`.

    The teacher is what is known of the dialogues: their facts and the keys of their questions.

    Args:
        out: folder to write.
        dialogues: folder of dialogues, from `duomem dialogues` or `duomem locomo prepare`.
        operation: extract facts from turns, update memories by a fact, or answer a question.
        how: what stands before questions and new facts.
        shard: write part i/n.

    Raises:
        UserError: bad input, or an output folder of another config.
    """
    stored = read_dialogues(dialogues)
    return write_demonstrations(
        out,
        {d.id: functools.partial(demonstrate, d, operation, how) for d in stored},
        source={DIALOGUES: content_hash(dialogues, DIALOGUES)},
        config={"operation": operation} | how.config(operation),
        shard=shard,
    )
