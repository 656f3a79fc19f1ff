"""Pictures of users, on their way into a store."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from duomem_jax.base.errors import UserError
from duomem_jax.base.picture import read_picture
from duomem_jax.memory.store.entry import Shared
from duomem_jax.records.dialogues import Turn
from duomem_jax.records.pictures import name_of


@dataclass(frozen=True)
class Taken:
    """Turns, with the pictures that are shared in them.

    Attributes:
        turns: each with the name of its picture.
        files: what the pictures' files hold, by their names.
    """

    turns: tuple[Turn, ...]
    files: Mapping[str, bytes]

    @property
    def shared(self) -> tuple[Shared, ...]:
        """Who shared which picture, and where."""
        return tuple(
            Shared(turn.id, turn.speaker, turn.picture)
            for turn in self.turns
            if turn.picture in self.files
        )


NOTHING_TAKEN = Taken((), {})


def take(turns: Sequence[Turn], pictures: Mapping[str, str | os.PathLike]) -> Taken:
    """Read the pictures of some turns; nothing is kept yet.

    Args:
        turns: what is said.
        pictures: files, by the ids of turns.

    Raises:
        UserError: a file is no picture that can be read, or is that of no turn.
    """
    if unknown := sorted(pictures.keys() - {turn.id for turn in turns}):
        raise UserError(f"{pictures[unknown[0]]}: shared in no turn {unknown[0]!r}; correct the id")
    files: dict[str, bytes] = {}
    named = {}
    for turn, file in pictures.items():
        data = read_picture(file)
        named[turn] = name_of(data)
        files[named[turn]] = data
    return Taken(
        tuple(replace(turn, picture=named.get(turn.id, turn.picture)) for turn in turns), files
    )
