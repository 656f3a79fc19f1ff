"""Questions on a dialogue, from what is true in it."""

from collections.abc import Iterator

from duomem_jax.records.dialogues import (
    ADVERSARIAL,
    MULTI_HOP,
    OPEN_DOMAIN,
    SINGLE_HOP,
    TEMPORAL,
    Question,
)
from duomem_jax.worlds.dialogues.generate import joined, plain, traps
from duomem_jax.worlds.dialogues.generate.asked import Asked
from duomem_jax.worlds.dialogues.generate.scene import Scene

# Of twenty questions so many are of each kind; LoCoMo has the same order of shares.
SHARES = {SINGLE_HOP: 6, MULTI_HOP: 4, TEMPORAL: 4, ADVERSARIAL: 4, OPEN_DOMAIN: 2}


def ask(scene: Scene, wanted: int) -> tuple[Question, ...]:
    """At most so many questions, of each kind its share where there is enough to ask about."""
    left: dict[str, list[Asked]] = {kind: [] for kind in SHARES}
    seen: set[str] = set()
    for asked in _all(scene):
        if asked.text not in seen:
            seen.add(asked.text)
            left[asked.kind].append(asked)
    queues = {kind: _mixed(scene, found) for kind, found in left.items()}
    chosen: list[Asked] = []
    # In rounds of twenty: what a kind lacks, the others have in the next round.
    while len(chosen) < wanted and any(queues.values()):
        for kind, share in SHARES.items():
            taken, queues[kind] = queues[kind][:share], queues[kind][share:]
            chosen += taken
    sessions = scene.talk.sessions()
    turns = {turn.id: i for i, turn in enumerate(t for s in sessions for t in s.turns)}
    return tuple(
        Question(
            id=f"q{number + 1}",
            text=asked.text,
            kind=asked.kind,
            answer="" if asked.kind == ADVERSARIAL else asked.answer,
            evidence=tuple(sorted(set(asked.evidence), key=turns.__getitem__)),
            trap=asked.answer if asked.kind == ADVERSARIAL else "",
        )
        for number, asked in enumerate(chosen[:wanted])
    )


def _all(scene: Scene) -> Iterator[Asked]:
    for module in (plain, joined, traps):
        yield from module.questions(scene)


def _mixed(scene: Scene, found: list[Asked]) -> list[Asked]:
    """In such an order that forms take turns, and that the same answer comes back late."""
    forms: dict[str, list[Asked]] = {}
    for asked in scene.draw.shuffled(found):
        forms.setdefault(asked.form, []).append(asked)
    turns: list[Asked] = []
    while forms:
        turns += [forms[form].pop() for form in scene.draw.shuffled(list(forms))]
        forms = {form: rest for form, rest in forms.items() if rest}
    new: list[Asked] = []
    seen: set[str] = set()
    late: list[Asked] = []
    for asked in turns:
        (late if asked.answer in seen else new).append(asked)
        # Of "Yes" and "No" there are many.
        seen |= {asked.answer} - {"Yes", "No"}
    return new + late
