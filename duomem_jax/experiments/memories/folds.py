"""Which dialogues experts learn from, and which they are asked about."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.base.ranges import Count, Limit, Seed, options
from duomem_jax.memory.operations.names import ANSWER, EXPERTS, EXTRACT, UPDATE, Name
from duomem_jax.stages.dialogues import dialogues
from duomem_jax.stages.locomo import write_conversations
from duomem_jax.worlds.dialogues import Size
from duomem_jax.worlds.dialogues.locomo import read_locomo

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lessons:
    """What an expert learns from.

    Attributes:
        name: of its folder.
        learnt: folders of dialogues.
        validation: folder of dialogues that say when to stop.
    """

    name: str
    learnt: tuple[str, ...]
    validation: str


@dataclass(frozen=True)
class Fold:
    """Dialogues that are asked about, and what the experts on them learnt from.

    Attributes:
        name: of its folder.
        asked: folder of dialogues that none of its experts has seen.
        lessons: of each operation.
    """

    name: str
    asked: str
    lessons: dict[Name, Lessons]


@options
class Generated:
    """Generated dialogues: one fold, asked about dialogues of other names, values and phrasings."""

    learnt: Count = 200  # dialogues
    asked: Count = 12  # dialogues; as many say when to stop
    seed: Seed = 1
    size: Size = Size()  # of a dialogue
    pictures: Limit = 0  # that are shared in a dialogue

    def folds(self, root: Path) -> list[Fold]:
        """Write the dialogues; the one fold."""
        asked = self._write(root / "held-out", self.asked, self.seed, held_out=True)
        return [Fold("generated", asked, dict.fromkeys(EXPERTS, self.lessons(root)))]

    def lessons(self, root: Path) -> Lessons:
        """Write the dialogues that experts learn from."""
        learnt = self._write(root / "generated", self.learnt, self.seed)
        validation = self._write(root / "generated-validation", self.asked, self.seed + 1)
        return Lessons("generated", (learnt,), validation)

    def told(self, folds: Sequence[Fold]) -> str:
        """Which dialogues these are, for a report."""
        return (
            f"{self.asked} held-out dialogues: no name, value or phrasing of theirs is in the "
            f"{self.learnt} dialogues that the experts learnt from"
        )

    def _write(self, out: Path, count: int, seed: int, held_out: bool = False) -> str:
        written = dialogues(
            str(out),
            count=count,
            seed=seed,
            held_out=held_out,
            size=self.size,
            pictures=self.pictures,
        )
        log.info(written)
        return str(out)


@options
class Conversations:
    """LoCoMo's, each asked about by experts that learnt from the others.

    What a fact changes is not in them: updates are learnt from generated dialogues.
    """

    file: str  # locomo10.json, or a part of it
    omit: tuple[str, ...] = ()  # ids of conversations that nobody sees
    asked: tuple[str, ...] = ()  # ids of those that are asked about; none: all
    generated: Generated = Generated()

    def folds(self, root: Path) -> list[Fold]:
        """Write the dialogues; a fold for each that is asked about.

        The conversation that comes next says when to stop, and is not learnt from.

        Raises:
            UserError: the file lacks one that is named, or has fewer than three to choose from.
        """
        read = read_locomo(self.file)
        known = {d.id: d for d in read.dialogues if d.id not in self.omit}
        names = list(known)
        if unknown := sorted({*self.asked} - {*names}):
            raise UserError(f"asked: no conversation {unknown[0]}; there are {', '.join(names)}")
        if len(names) < 3:
            raise UserError(
                f"{self.file}: {len(names)} conversations; one is asked about, one says when to "
                "stop, and one or more are learnt from"
            )
        folders = {name: str(root / name) for name in names}
        for name, folder in folders.items():
            log.info(write_conversations(folder, read, [known[name]]))
        update = self.generated.lessons(root)
        return [self._fold(name, folders, update) for name in self.asked or names]

    def told(self, folds: Sequence[Fold]) -> str:
        """Which dialogues these are, for a report."""
        return (
            f"LoCoMo's conversations {', '.join(fold.name for fold in folds)}, each asked about by "
            "experts that learnt from the others, and updates from "
            f"{self.generated.learnt} generated dialogues"
        )

    def _fold(self, name: str, folders: dict[str, str], update: Lessons) -> Fold:
        names = list(folders)
        following = names[(names.index(name) + 1) % len(names)]
        learnt = tuple(f for n, f in folders.items() if n not in (name, following))
        own = Lessons(f"without-{name}", learnt, folders[following])
        return Fold(name, folders[name], {EXTRACT: own, UPDATE: update, ANSWER: own})


AllLessons = dict[tuple[Name, str], Lessons]  # by operation and name


def all_lessons(folds: Sequence[Fold]) -> AllLessons:
    """What the experts of all folds learn from, each once: folds may share an expert."""
    return {(o, one.name): one for fold in folds for o, one in fold.lessons.items()}
