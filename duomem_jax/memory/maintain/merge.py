"""Merge memories that say the same: the newest stays, and rests on the turns of all."""

import re
from collections.abc import Sequence

from duomem_jax.memory.operations.records import Delete, Operation, Update
from duomem_jax.memory.retrieve.protocol import Vectors
from duomem_jax.memory.store.entry import Entry

# Both gates must open: vectors alone take "cortado" for "flat white", words alone a sentence and
# its paraphrase for two.
COSINE = 0.97
JACCARD = 0.85
# A difference in one of these turns the meaning, however alike the rest is.
_TURNS = frozenset(
    [
        "no",
        "not",
        "never",
        "none",
        "nobody",
        "nothing",
        "neither",
        "without",
        "longer",
        "used",
        "stopped",
    ]
)


def duplicates(entries: Sequence[Entry], vectors: Vectors, now: str) -> list[Operation]:
    """Delete near-duplicates of newer memories of the same owner, person and pictures."""
    place = {int(number): i for i, number in enumerate(vectors.ids_M)}
    vectors_ME = vectors.vectors_ME
    newest = sorted(entries, key=lambda entry: (entry.happened, entry.id), reverse=True)
    kept: list[Entry] = []
    merged: dict[int, list[Entry]] = {}
    for entry in newest:
        own = [
            i
            for i, e in enumerate(kept)
            if (e.owner, e.speaker, _shown(e)) == (entry.owner, entry.speaker, _shown(entry))
        ]
        near: list[int] = []
        if own:
            cosines = vectors_ME[[place[kept[i].id] for i in own]] @ vectors_ME[place[entry.id]]
            near = [own[j] for j in (cosines >= COSINE).nonzero()[0]]
        same = next((kept[i] for i in near if same_words(kept[i].text, entry.text)), None)
        if same is None:
            kept.append(entry)
        else:
            merged.setdefault(same.id, []).append(entry)
    operations: list[Operation] = []
    for entry in kept:
        if others := merged.get(entry.id):
            turns = dict.fromkeys((*entry.evidence, *(t for e in others for t in e.evidence)))
            operations.append(Update(entry.id, entry.text, tuple(turns), entry.context))
            operations += [Delete(other.id) for other in others]
    return operations


def _shown(entry: Entry) -> set[str]:
    return {shared.sha256 for shared in entry.pictures}


def same_words(a: str, b: str) -> bool:
    """Whether two texts have nearly the same words, and differ in none that turns the meaning."""
    first, second = (set(re.findall(r"\w+", text.casefold())) for text in (a, b))
    if len(first & second) < JACCARD * len(first | second):
        return False
    return not any(word in _TURNS or re.search(r"\d", word) for word in first ^ second)
