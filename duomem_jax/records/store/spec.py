"""Who a dataset is, and refusing to write into somebody else's folder."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

from duomem_jax.base.config import differences
from duomem_jax.base.errors import UserError
from duomem_jax.records.store.features import Layout

# What each kind of dataset is called.
EPISODES, MEMORIES, ROWS = "episodes", "memories", "examples"
DIALOGUES, DEMONSTRATIONS, PICTURES = "dialogues", "demonstrations", "pictures"
SPLIT = "train"  # the split that every stage writes: which games it is about, their folder says


@dataclass(frozen=True)
class DatasetSpec:
    """Identity of one split; a folder written under another identity is refused.

    Attributes:
        name: dataset name, lower case with underscores.
        layout: record layout (`features.Layout`).
        source: what it was made from, such as content hashes of other datasets; JSON values.
        config: everything that changes the records; JSON values.
        notes: what is told beside it and never compared, such as where the source lies; JSON.
        compress: False for records that do not shrink, such as logits.
    """

    name: str
    layout: Layout
    split: str = SPLIT
    source: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    notes: dict[str, Any] = field(default_factory=dict)
    compress: bool = True

    @property
    def unit(self) -> str:
        """What one of its records is, in the plural."""
        return {ROWS: "rows", PICTURES: "tiles"}.get(self.name, self.name)

    @property
    def identity(self) -> dict[str, Any]:
        """What must agree between the runs that write one split."""
        # Through JSON and back, as it is compared with what was read from a file: there a tuple is
        # a list. The layout of splits that are complete is compared by `features.json`.
        facts = {"name": self.name, "source": self.source, "config": self.config}
        return json.loads(json.dumps(facts | {"seed": self.seed}))


@dataclass(frozen=True)
class WriteReport:
    """How a writing stage ended.

    Attributes:
        status: "written", "already complete" or "waiting" for other shards.
        records: of the whole split, or of this shard while waiting.
        message: one sentence for the user.
    """

    status: str
    records: int
    counts: dict[str, int]
    message: str

    def __str__(self) -> str:
        return self.message

    def with_details(self, *details: str) -> "WriteReport":
        """The same report, whose sentence also says what the stage has counted; "" is omitted."""
        told = ", ".join(filter(None, details))
        return replace(self, message=f"{self.message} ({told})") if told else self


def refuse_difference(where: str, mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Raise a UserError naming the first value of `mine` that `theirs` does not share."""
    for path, new, old in differences(mine, theirs, open_top=True):
        raise UserError(
            f"{where} was begun with {path}={old!r}, not {new!r}; choose another output folder "
            "or delete this one"
        )
