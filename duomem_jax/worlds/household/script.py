"""Abstract an episode to the procedure that won it, and write that down as a script.

Search, detours and refused actions fall away; instance numbers become kinds. What is left is the
order of sub-goals, which carries over to other objects and rooms (MemP calls this a script,
arXiv 2508.06433).
"""

from duomem_jax.records.episodes import Episode
from duomem_jax.worlds.household.procedure import APPLIANCE, Procedure, Subgoal, script


def abstract(episode: Episode) -> Procedure:
    """The sub-goals that an episode reached, in order."""
    # The answer to a turn is the observation of the next one.
    answers = [t.observation for t in episode.turns[1:]] + [episode.final_observation]
    goals: list[Subgoal] = []
    for turn, answer in zip(episode.turns, answers, strict=True):
        if answer.startswith("Nothing happens"):
            continue
        goal = _subgoal(turn.action.split(), goals)
        if goal is None:
            continue
        if goal.verb == "find" and goals and goals[-1].verb == "find":
            goals.pop()  # picked up and laid back: the second find is the one that counted
        # Done twice in a row is done once.
        if not (goals and goals[-1] == goal):
            goals.append(goal)
    return tuple(goals)


def _subgoal(words: list[str], before: list[Subgoal]) -> Subgoal | None:
    """The sub-goal an action reaches, if it is one that changes the world."""
    match words:
        case ["take", kind, _, "from", *_]:
            # A kind that is taken again after something was put is the second of two.
            placed = Subgoal("find", kind) in before and before[-1].verb == "put"
            return Subgoal("find", kind, second=placed)
        case ["move", _, _, "to", kind, _]:
            return Subgoal("put", kind)
        case [("clean" | "heat" | "cool") as verb, _, _, "with", kind, _] if (
            kind == APPLIANCE[verb]
        ):
            return Subgoal(verb)
        case ["use", kind, _]:
            return Subgoal("use", kind)
    return None


def write_script(episode: Episode) -> str:
    """The script of a successful episode: `1. find a mug and take it. 2. clean it with …`."""
    return script(abstract(episode))
