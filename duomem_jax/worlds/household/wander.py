"""Random play that visits much of a game: for comparing engines and for timing them."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

_NONSENSE = ("", "dance", "go to", "take", "put mug 1 in/on desk 1", "examine room", "help me")
# Words that lead to the rare verbs: half of the random choices go to them where possible.
_TELLING = frozenset(
    {
        *("apple", "bread", "egg", "lettuce", "potato", "tomato"),
        *("butterknife", "knife", "desklamp", "floorlamp", "fridge", "microwave", "sinkbasin"),
    }
)


def wander(
    admissible: Callable[[], Sequence[str]],
    rng: random.Random,
    steps: int,
    walkthrough: Sequence[str] = (),
) -> Iterator[str]:
    """Yield `steps` commands, about a fifth of them most likely not admissible.

    Args:
        admissible: tells the admissible commands of the moment, asked before each command.
        rng: draws everything.
        steps: how many commands.
        walkthrough: now and then its next command is played, to get somewhere.
    """
    ahead = list(walkthrough)
    # A dictionary for its order: that of a set would differ between processes of one seed.
    seen: dict[str, None] = {}
    tried: Counter[str] = Counter()
    for _ in range(steps):
        allowed = admissible()
        seen.update(dict.fromkeys(allowed))
        dice = rng.random()
        # Only where it fits: random play may have led away from the walkthrough.
        if dice < 0.25 and ahead and ahead[0] in allowed:
            yield ahead.pop(0)
        elif dice < 0.45:
            yield _illegal(rng, list(seen))
        else:
            # A verb first, or nearly everything would be "go to"; the least tried ones most.
            verbs = sorted({command.split()[0] for command in allowed})
            (verb,) = rng.choices(verbs, [1 / (1 + tried[verb]) ** 2 for verb in verbs])
            tried[verb] += 1
            options = [command for command in allowed if command.split()[0] == verb]
            telling = [command for command in options if not _TELLING.isdisjoint(command.split())]
            yield rng.choice(telling if telling and rng.random() < 0.5 else options)


def _illegal(rng: random.Random, seen: Sequence[str]) -> str:
    """A stale command, a mixture of two, a misspelt one, another number, or nonsense."""
    one, two = rng.choice(seen), rng.choice(seen)
    kind = rng.randrange(5)
    if kind == 0:
        return one
    if kind == 1:
        return f"{one.split()[0]} {two.partition(' ')[2]}"
    if kind == 2:
        return rng.choice((one.upper(), one + " now", one.replace(" ", "  "), f"  {one} \n"))
    if kind == 3:
        return f"{one.rpartition(' ')[0]} {rng.randrange(1, 12)}"
    return rng.choice(_NONSENSE)
