"""Looking: a question, from the pictures of the memories that fit it."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from duomem_jax.base.prompts import load_prompt
from duomem_jax.memory.operations.answer import Memo, memo_of
from duomem_jax.memory.operations.lines import dated, line
from duomem_jax.memory.store.entry import Entry, Found
from duomem_jax.memory.store.keeper import Query
from duomem_jax.memory.store.store import Store
from duomem_jax.records import chat
from duomem_jax.records.chat import Chat, Part, PicturePart

PROMPT = load_prompt(str(Path(__file__).with_name("prompts") / "look.md"), ("question",))
MOST = 3  # pictures of memories that are shown at once
# Of BM25's best score, what a memory must reach for its pictures to be looked at. In 25 generated
# dialogues of four pictures (seed 5, held out) 96 % of the questions about a picture have such a
# memory, and 23 % of the others.
NEAR = 0.8
ASKED = "Shown with the question:"


@dataclass(frozen=True)
class Sight:
    """A picture that is shown with a question.

    Attributes:
        picture: its file.
        memo: the memory that has it; None: it comes with the question.
    """

    picture: PicturePart
    memo: Memo | None = None

    @property
    def line(self) -> str:
        """What stands before it."""
        return ASKED if self.memo is None else dated(self.memo.at, self.memo.text)


def look_chat(question: str, sights: Iterable[Sight]) -> Chat:
    """What a model that sees is asked.

    Args:
        question: in words.
        sights: in any order.
    """
    parts = [*sight_parts(sights), chat.text(PROMPT.fill(question=line(question)))]
    return [chat.user(parts)]


def sight_parts(sights: Iterable[Sight]) -> Iterator[Part]:
    """Pictures in the order of time, each below its line; what comes with a question is last."""
    for sight in sorted(sights, key=lambda s: (s.memo is None, s.memo.at if s.memo else "")):
        yield from (chat.text(f"{sight.line}\n"), sight.picture, chat.text("\n"))


def sights_of(store: Store, query: Query, found: Sequence[Found]) -> list[Sight]:
    """What a model that sees is to look at for a question; nothing where words will do.

    Args:
        store: what is known.
        query: the question, and what it may be answered from.
        found: memories that fit it, best first.

    Raises:
        UserError: the file of a picture is missing, or has been changed.
    """
    shown = [] if query.image is None else [Sight(chat.picture(os.fspath(query.image)))]
    pictured = [item.entry for item in found if item.entry.pictures]
    # Stores without pictures are not searched again.
    near = _near(store, query) if pictured else frozenset()
    chosen: dict[str, Entry] = {}
    for entry in pictured:
        for shared in entry.pictures if entry.id in near else ():
            chosen.setdefault(shared.sha256, entry)
    return shown + [
        Sight(chat.picture(str(store.pictures.path(name)), name), memo_of(entry))
        for name, entry in list(chosen.items())[:MOST]
    ]


def _near(store: Store, query: Query) -> frozenset[int]:
    """The memories that fit a question nearly as well as the best one.

    Not by their places among what was found: the turns around a picture are found by its words,
    too. Nor by the scores of any retriever, whose scales differ.
    """
    ranking = store.lexical(query.text, at=query.at, who=query.who)
    if not len(ranking.ids_M):
        return frozenset()
    return frozenset(ranking.ids_M[ranking.scores_M >= NEAR * ranking.scores_M.max()].tolist())
