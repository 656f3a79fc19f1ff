"""What a folder of packed rows says of itself, as a record instead of nested dictionaries."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from duomem_jax.base.errors import UserError
from duomem_jax.base.fields import check_fields
from duomem_jax.records.store.manifest import content_hash, split_facts
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.records.store.spec import PICTURES, ROWS, SPLIT

LOOKED_AT = 512  # rows that tell how long replies are


@dataclass(frozen=True)
class ViewFacts:
    """How one model's side of the rows was made.

    Attributes:
        length: T, tokens a row.
        vocabulary: fingerprint of the tokenizer's vocabulary; equal ones give equal ids.
        system: content of the system message.
        shown: memories before an episode; None: there were none.
    """

    length: int
    vocabulary: str
    system: str = ""
    shown: int | None = None


@dataclass(frozen=True)
class TargetFacts:
    """What is stored of a teacher: the identity its scorer gave, of which training asks these."""

    kind: str
    temperature: float


@dataclass(frozen=True)
class SeenFacts:
    """Which pictures rows show.

    Attributes:
        content: of their dataset (`data.pictures`), by whose numbers rows know tiles.
        model: fingerprint of the model that sees them so.
        tiles: P, that a row has room for.
    """

    content: str
    model: str
    tiles: int


@dataclass(frozen=True)
class RowFacts:
    """A folder of packed rows.

    Attributes:
        folder: where they are.
        rows: how many.
        counts: what the stages that wrote them counted, such as examples and loss_tokens.
        content: hash over all records.
        student: the student's side.
        teacher: the teacher's where it has its own, else None.
        targets: stored ones, or None.
        pictures: that they show, or None.
    """

    folder: str
    rows: int
    counts: dict[str, int]
    content: str
    student: ViewFacts
    teacher: ViewFacts | None = None
    targets: TargetFacts | None = None
    pictures: SeenFacts | None = None

    @classmethod
    def read(cls, folder: str | os.PathLike) -> "RowFacts":
        """The facts in a folder's manifest.

        Raises:
            UserError: no complete rows there, or rows that do not say which tokenizer made them.
        """
        # Only the manifest is read: a plan may refuse a run before any row is opened.
        split = split_facts(Path(folder), SPLIT, ROWS)
        config = split["config"]
        teacher, targets = config.get("teacher"), config.get("targets")
        seen = config.get(PICTURES)
        try:
            facts = cls(
                folder=str(folder),
                rows=split["records"],
                counts=split["counts"],
                content=content_hash(folder),
                student=_view(config),
                teacher=_view(teacher) if teacher else None,
                targets=TargetFacts(targets["kind"], targets["temperature"]) if targets else None,
                pictures=SeenFacts(seen["content"], seen["model"], seen["tiles"]) if seen else None,
            )
            check_fields(facts)
        except KeyError as e:
            raise _damaged(folder, f"does not say {e} of its rows") from None
        except (AttributeError, TypeError) as e:
            raise _damaged(folder, f"has a wrong value ({e})") from None
        return facts

    @property
    def taught(self) -> ViewFacts:
        """The side that a teacher reads."""
        return self.teacher or self.student

    @property
    def aligned(self) -> bool:
        """Whether the teacher's side has other tokens, so that chunks of text are compared."""
        # The test by which `build_examples` decides whether to write chunks.
        return self.taught.vocabulary != self.student.vocabulary


def _damaged(folder: str | os.PathLike, what: str) -> UserError:
    return UserError(f"{folder}: manifest.json {what}; write the rows again with `duomem examples`")


def _view(config: dict[str, Any]) -> ViewFacts:
    # A missing vocabulary is refused rather than assumed: rows of another tokenizer train without
    # an error wherever their ids happen to fit.
    shown = (config.get("guidelines") or {}).get("k")
    return ViewFacts(config["length"], config["vocabulary"], config.get("system", ""), shown)


def longest_reply(folder: str | os.PathLike) -> int:
    """Tokens of the longest reply, end of turn included, among some rows of a folder."""
    rows = read_dataset(folder, SPLIT, ROWS)
    longest = 0
    # From all over the folder, in which episodes of a kind are neighbours.
    for i in range(0, len(rows), max(1, len(rows) // LOOKED_AT)):
        mask_T = rows[i]["loss_mask"] > 0
        # What is between two tokens that nobody replied with.
        others = np.flatnonzero(~np.pad(mask_T, 1))
        longest = max(longest, int(np.diff(others).max()) - 1)
    return longest
