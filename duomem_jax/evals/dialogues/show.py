"""What stands before a question: everything, nothing, or what something finds for it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from duomem_jax.memory.operations.answer import Memo, memo_of
from duomem_jax.memory.operations.extract import said
from duomem_jax.memory.operations.look import MOST, Sight, sights_of
from duomem_jax.memory.store.keeper import Query
from duomem_jax.memory.store.store import Store
from duomem_jax.records import chat
from duomem_jax.records.dialogues import Dialogue, Question
from duomem_jax.records.pictures import PictureFolder

Count = Callable[[str], int]  # tokens of a text


@dataclass(frozen=True)
class Page:
    """What is shown with one question.

    Attributes:
        memos: in any order.
        turns: ids of the turns that they are, or rest on.
        ids: of the memories that they are; none where nothing was recalled.
        sights: pictures of these that are to be looked at instead of reading.
    """

    memos: tuple[Memo, ...] = ()
    turns: frozenset[str] = frozenset()
    ids: tuple[int, ...] = ()
    sights: tuple[Sight, ...] = ()

    def found(self, question: Question) -> float:
        """Share of the question's evidence that is here; -1 where it has none."""
        wanted = set(question.evidence)
        return len(wanted & self.turns) / len(wanted) if wanted else -1.0

    def share(self, dialogue: Dialogue) -> float:
        """Words shown, as a share of those of the dialogue."""
        whole = sum(len(said(turn).split()) for _, turn in dialogue.turns())
        return sum(len(memo.text.split()) for memo in self.memos) / max(whole, 1)


@dataclass(frozen=True)
class _Line:
    """A memo, the turns it is, or rests on, and the memory that it is, if it is one."""

    memo: Memo
    turns: tuple[str, ...]
    id: int | None = None


Show = Callable[[Question], Page]


def nothing(question: Question) -> Page:
    """The question alone."""
    return Page()


def whole(dialogue: Dialogue) -> Show:
    """All that was said."""
    page = _page(_lines(dialogue))
    return lambda question: page


def recent(dialogue: Dialogue, tokens: int, count: Count) -> Show:
    """What was said last."""
    page = _page(_within(reversed(_lines(dialogue)), tokens, count))
    return lambda question: page


def evidence(dialogue: Dialogue, pictures: PictureFolder | None = None) -> Show:
    """The turns that the answer is in: what the best retrieval would show.

    Args:
        dialogue: whose turns they are.
        pictures: to be looked at; None: captions are read.
    """
    lines = {line.turns[0]: line for line in _lines(dialogue)}
    files = pictures.shared(turn for _, turn in dialogue.turns()) if pictures else {}

    def show(question: Question) -> Page:
        wanted = [i for i in question.evidence if i in lines]
        sights = (Sight(chat.picture(str(files[i])), lines[i].memo) for i in wanted if i in files)
        return replace(_page([lines[i] for i in wanted]), sights=tuple(sights)[:MOST])

    return show


def recalled(store: Store, tokens: int, count: Count, *, looks: bool = False) -> Show:
    """What a store finds: turns or memories, as the store holds.

    Args:
        store: what is searched.
        tokens: of what is shown, at most.
        count: counts them.
        looks: whether pictures are looked at, where the store's keeper would do so.
    """

    def show(question: Question) -> Page:
        found = store.recall(question.text, tokens=tokens)
        lines = (_Line(memo_of(entry), entry.evidence, entry.id) for entry, _ in found)
        page = _page(_within(lines, tokens, count))
        if not looks:
            return page
        sights = sights_of(store, Query(question.text), found)
        return replace(page, sights=tuple(sights))

    return show


def _lines(dialogue: Dialogue) -> list[_Line]:
    return [_Line(Memo(session.at, said(turn)), (turn.id,)) for session, turn in dialogue.turns()]


def _within(lines: Iterable[_Line], tokens: int, count: Count) -> list[_Line]:
    """The first lines, as many as have room together."""
    taken, left = [], tokens
    for line in lines:
        left -= count(line.memo.text)
        # Not a later, shorter one in its place: what is shown would depend on lengths.
        if left < 0:
            break
        taken.append(line)
    return taken


def _page(lines: Sequence[_Line]) -> Page:
    turns = frozenset(turn for line in lines for turn in line.turns)
    ids = tuple(line.id for line in lines if line.id is not None)
    return Page(tuple(line.memo for line in lines), turns, ids)
