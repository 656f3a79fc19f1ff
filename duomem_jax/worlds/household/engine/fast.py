"""The text engine: ALFWorld's rules and words, without a planner or a grammar interpreter."""

from collections.abc import Callable

from duomem_jax.worlds.household.engine import text
from duomem_jax.worlds.household.engine.commands import BLOCKS, REFRESH, Block
from duomem_jax.worlds.household.engine.goal import compile_goal
from duomem_jax.worlds.household.engine.setting import setting_of
from duomem_jax.worlds.household.engine.state import FLUENTS, State
from duomem_jax.worlds.household.game import Game

_NONE: Block = {}


class FastEngine:
    """One game, played as alfworld 0.4.2 on textworld 1.7.0 plays it, word for word.

    Playing on after the goal is reached is allowed and can undo it, as in the real engine.
    """

    def __init__(self, game: Game):
        """Make `game` ready; nothing is parsed again by `reset`.

        Raises:
            UserError: the game's `pddl_problem` cannot be played.
        """
        self.game = game
        self._setting = setting_of(game)
        source = f"game {game.id}"
        self._first = State.first(self._setting.problem, source)
        self._goal = compile_goal(self._setting.problem, FLUENTS, source)
        self._effects: dict[str, Callable[..., str]] = {
            "clean": self._clean,
            "close": self._close,
            "cool": self._cool,
            "examine": self._examine,
            "go": self._go,
            "heat": self._heat,
            "help": self._help,
            "inventory": self._inventory,
            "look": self._look,
            "move": self._move,
            "open": self._open,
            "slice": self._slice,
            "take": self._take,
            "use": self._use,
        }
        self.reset()

    def reset(self) -> str:
        """Start the game again; return the first observation, which states the task."""
        self._state = self._first.copy()
        # A goal may hold from the start.
        self._won = self._goal(self._state, ())
        self._blocks = {verb: block(self._setting, self._state) for verb, block in BLOCKS.items()}
        self._sorted: dict[str, list[str]] = {}  # blocks as sorted lists, until they change
        return text.intro(self._setting, self._state, self.game.text)

    def step(self, command: str) -> tuple[str, bool]:
        """Play `command`; return the observation and whether the goal holds now."""
        # The real engine forgives spaces around a command, and nothing else.
        command = command.strip()
        verb = command.partition(" ")[0]
        ids = self._blocks.get(verb, _NONE).get(command)  # legal if and only if it is listed
        if ids is None:
            return text.NOTHING_HAPPENS, self._won
        observation = self._effects[verb](*ids)
        # Most verbs change what can be done next only in part, and a step is mostly this work.
        for changed in REFRESH.get(verb, ()):
            self._blocks[changed] = BLOCKS[changed](self._setting, self._state)
            self._sorted.pop(changed, None)
        # Always tested: a goal may ask for any mark, and `look` sets one.
        self._won = self._goal(self._state, ())
        return observation, self._won

    def admissible_commands(self) -> list[str]:
        """Every command that does something now, sorted."""
        commands: list[str] = []
        for verb, block in self._blocks.items():
            ordered = self._sorted.get(verb)
            if ordered is None:
                ordered = self._sorted[verb] = sorted(block)
            commands += ordered
        return commands

    def _go(self, r: str) -> str:
        self._state.place = self._setting.location[r]
        described = text.receptacle(self._setting, self._state, r)
        return f"You arrive at {self._setting.names[r]}. {described}"

    def _open(self, r: str) -> str:
        self._state.opened.add(r)
        # No sentence shows this mark, but a goal may ask for it.
        self._state.marks["checked"].add(r)
        described = text.receptacle(self._setting, self._state, r)
        return f"You open the {self._setting.names[r]}. {described}"

    def _close(self, r: str) -> str:
        self._state.opened.discard(r)
        return f"You close the {self._setting.names[r]}."

    def _take(self, o: str, r: str) -> str:
        self._state.take(o, r)
        return f"You pick up the {self._setting.names[o]} from the {self._setting.names[r]}."

    def _move(self, o: str, r: str) -> str:
        self._state.put(o, r)
        return f"You move the {self._setting.names[o]} to the {self._setting.names[r]}."

    def _use(self, o: str) -> str:
        self._state.toggle(o)  # the grammar says "on" even where this switches it off
        return f"You turn on the {self._setting.names[o]}."

    def _clean(self, o: str, r: str) -> str:
        self._state.marks["isclean"].add(o)
        return self._treated("clean", o, r)

    def _heat(self, o: str, r: str) -> str:
        self._state.marks["ishot"].add(o)
        self._state.marks["iscool"].discard(o)
        return self._treated("heat", o, r)

    def _cool(self, o: str, r: str) -> str:
        self._state.marks["iscool"].add(o)
        self._state.marks["ishot"].discard(o)
        return self._treated("cool", o, r)

    def _treated(self, verb: str, o: str, r: str) -> str:
        return f"You {verb} the {self._setting.names[o]} using the {self._setting.names[r]}."

    def _slice(self, o: str, knife: str) -> str:
        self._state.marks["issliced"].add(o)
        return f"You sliced the {self._setting.names[o]} with the {self._setting.names[knife]}."

    def _examine(self, i: str) -> str:
        self._state.marks["checked"].add(i)
        if i in self._setting.location:
            return text.receptacle(self._setting, self._state, i)
        return text.held_object(self._setting, self._state, i)

    def _look(self) -> str:
        self._state.marks["checked"].add(self._state.place)
        return text.look(self._setting, self._state)

    def _inventory(self) -> str:
        self._state.marks["checked"].add(self._state.agent)
        return text.inventory(self._setting, self._state)

    def _help(self) -> str:
        self._state.marks["checked"].add(self._state.agent)
        return text.HELP
