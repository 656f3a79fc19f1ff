"""A text-only expert: it searches likely places first, opens what is closed, does the task.

It sees exactly what a language model sees. Every action comes with a short Thought that
restates what matters (what is wanted, what was just seen, what comes next), in words a small
model can learn to copy from its own context.
"""

from duomem_jax.worlds.base import Move
from duomem_jax.worlds.household.expert.observation import Beliefs, kind, task_sentence
from duomem_jax.worlds.household.expert.prior import LocationPrior
from duomem_jax.worlds.household.procedure import APPLIANCE, Procedure, Subgoal, procedure_for
from duomem_jax.worlds.household.sentences import parse_goal

PLANNED = 4  # kinds of places thought of at once; a longer list is hard to write without a slip


class Expert:
    """Plays one game at a time: `reset` with the first observation, then `act` on each.

    Attributes:
        procedure: what it does, step by step; `index` is the step it is at.
        beliefs: what the text has told so far.
        announced: the last step that a Thought has announced.
        queue: places to search for `wanted`, likeliest first.
        chosen: kind of receptacle → the one of that kind that is used throughout.
        action: the last action it gave, until its answer is taken in.
        proposed: the same, kept for comparing with what was really done.
        beside: a place that "go to" was refused for, since it is reached from here.
    """

    def __init__(self, prior: LocationPrior | None = None):
        self.prior = prior or LocationPrior.default()

    def reset(self, first_observation: str, procedure: Procedure | None = None) -> None:
        """Start a game from the text of its reset.

        Args:
            first_observation: the whole text, with the receptacles and the task.
            procedure: what to do; by default what the task sentence asks for.
        """
        if procedure is None:
            goal = parse_goal(task_sentence(first_observation))
            procedure = procedure_for(goal) if goal else ()
        self.procedure = procedure
        self.beliefs = Beliefs.from_first(first_observation)
        self.index = 0
        self.announced = -1
        self.queue: list[str] = []
        self.wanted = ""
        self.chosen: dict[str, str] = {}
        self.action = ""
        self.proposed = ""
        self.beside = ""

    @property
    def done(self) -> bool:
        """Whether every sub-goal has been reached, as far as the text tells."""
        return self.index == len(self.procedure)

    def act(self, observation: str) -> Move:
        """A move after `observation`, which answers the action given before."""
        if self.action:
            self.observe(self.action, observation)
        move = self._decide()
        self.action = move.action
        return move

    def observe(self, action: str, observation: str) -> None:
        """Take in what `action` did; it may be another than the one proposed."""
        # `act` must not take in the same answer again.
        self.action = ""
        worked = self.beliefs.update(action, observation)
        if not self.done and worked and self._reaches(self.procedure[self.index], action):
            self.index += 1
        # A refusal of what another chose, such as a slip, says nothing about our plan.
        elif not worked and action == self.proposed:
            self._give_up(action)

    def _reaches(self, goal: Subgoal, action: str) -> bool:
        words = action.split()
        match goal.verb:
            case "find":
                return words[0] == "take" and words[1] == goal.what
            case "put":
                return words[0] == "move" and words[4] == goal.what
            case "use" | "open":
                return words[:2] == [goal.verb, goal.what]
            case "inventory":
                return action == "inventory"
        return words[0] == goal.verb

    def _give_up(self, action: str) -> None:
        """An action of ours was refused: never try the same thing again."""
        words = action.split()
        if words[0] == "go":  # refused where the place is reached from where we stand
            self.beside = action[6:]
        elif words[0] == "take":
            self.beliefs.forget(" ".join(words[1:3]))
        elif words[0] in ("move", "examine"):
            refused = action.split(" to ")[-1].removeprefix("examine ")
            # Another one of the kind is tried next.
            self.chosen.pop(words[4] if words[0] == "move" else words[1], None)
            self.beliefs.receptacles = [p for p in self.beliefs.receptacles if p != refused]
        # The world refuses the deed itself: trying again would never end.
        elif not self.done:
            self.index += 1

    def _decide(self) -> Move:
        if self.done:
            return Move("I am done.", "look")
        if self.beside:  # a place that shares our location cannot be gone to
            self.proposed = f"examine {self.beside}"
            self.beside = ""
            return Move("It is beside me. Examine it.", self.proposed)
        goal = self.procedure[self.index]
        opening = ""
        self.is_new = self.announced != self.index
        if self.is_new:
            opening = f"{'Now' if self.index else 'First'} {goal.intention()}. "
            self.announced = self.index
        move = self._toward(goal)
        self.proposed = move.action
        return Move(opening + move.thought, move.action)

    def _toward(self, goal: Subgoal) -> Move:
        here = self.beliefs.here
        match goal.verb:
            case "find" | "use":
                return self._find(goal)
            case "inventory":
                return Move("Check it.", "inventory")
            case "examine":
                return Move("Examine it.", f"examine {self.beliefs.holding}")
            case "put" | "open":
                place = self._choose(goal.what)
            case _:
                place = self._choose(APPLIANCE[goal.verb])
        # `go to` is refused where one stands already.
        if here != place:
            return Move(f"Go to {place}.", f"go to {place}")
        if goal.verb == "open":
            return Move("Open it.", f"open {place}")
        if goal.verb == "put":
            if self.beliefs.closed:
                return Move("It is closed. Open it.", f"open {place}")
            return Move("Put it.", f"move {self.beliefs.holding} to {place}")
        deed = f"{goal.verb} {self.beliefs.holding} with {place}"
        return Move(f"{goal.verb.capitalize()} it.", deed)

    def _find(self, goal: Subgoal) -> Move:
        # The name comes before what is said about it, so that a model which has just written
        # it only needs to look for the same word in what it sees.
        wish = "" if self.is_new else f"I look for a {goal.what}. "
        found = self.beliefs.where(goal.what, but_not_in=self._used_by_put(goal))
        if found is None:
            return self._search(goal, wish)
        name, place = found
        if place != self.beliefs.here:
            return Move(f"{wish}I saw {name} in {place}.", f"go to {place}")
        if goal.verb == "use":
            return Move(f"{wish}I see {name}. Use it.", f"use {name}")
        if self.beliefs.closed:
            return Move("It is closed. Open it.", f"open {place}")
        return Move(f"{wish}I see {name}. Take it.", f"take {name} from {place}")

    def _used_by_put(self, goal: Subgoal) -> str | None:
        """Where the first of two objects was put: it must stay there."""
        if not goal.second:
            return None
        # In a procedure of two objects the put follows the second find.
        return self.chosen.get(self.procedure[self.index + 1].what)

    def _search(self, goal: Subgoal, wish: str) -> Move:
        here = self.beliefs.here
        if here and self.beliefs.closed and here not in self.beliefs.contents:
            return Move("It is closed. Open it.", f"open {here}")
        thought = f"{wish}It is not here. " if wish else ""
        # A plan is stated once, when it is made, and followed until its places are used up.
        if self.wanted != goal.what or not self._unseen():
            self.wanted = goal.what
            self.queue = self._plan(goal.what)
            thought += f"It can be in {', '.join(dict.fromkeys(map(kind, self.queue)))}. "
        place = self._unseen()[0]
        return Move(f"{thought}Next is {place}.", f"go to {place}")

    def _unseen(self) -> list[str]:
        return [p for p in self.queue if p not in self.beliefs.contents]

    def _plan(self, wanted: str) -> list[str]:
        """Unseen places of the likeliest kinds; within a kind, in the order the text names them."""
        # Everything was looked into and the thing is in none: something was missed, so again.
        if all(p in self.beliefs.contents for p in self.beliefs.receptacles):
            self.beliefs.contents.clear()
        places = [p for p in self.beliefs.receptacles if p not in self.beliefs.contents]
        kinds = self.prior.rank(wanted, map(kind, places))[:PLANNED]
        return sorted((p for p in places if kind(p) in kinds), key=lambda p: kinds.index(kind(p)))

    def _choose(self, receptacle_kind: str) -> str:
        """The place of a kind to use, the same one each time.

        For two objects that is a place which already holds one, if any was seen.
        """
        if receptacle_kind not in self.chosen:
            places = [p for p in self.beliefs.receptacles if kind(p) == receptacle_kind]
            seconds = [g.what for g in self.procedure if g.second]
            holding_one = [
                p for p in places for o in self.beliefs.contents.get(p, []) if kind(o) in seconds
            ]
            # Where the text names none of the kind, it is left to the world to refuse.
            self.chosen[receptacle_kind] = [*holding_one, *places, f"{receptacle_kind} 1"][0]
        return self.chosen[receptacle_kind]
