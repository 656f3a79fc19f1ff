"""The real engine, alfworld on textworld, behind the same interface. Needs the extra `alfworld`."""

import json
import sys
import tempfile
from importlib import resources
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.worlds.household.game import Game


class TextWorldEnv:
    """One game played by textworld's interpreter of PDDL and grammar: tens of milliseconds a step.

    A game that was read from a `game.tw-pddl` is played from that file; any other with `rules`.
    Each one loads its own copy of the planner's library and never unloads it (about 10 MB a game):
    play many games in processes that end now and then, as `worlds.household.parity` does.
    """

    def __init__(self, game: Game, *, rules: tuple[str, str] | None = None):
        """Load `game`.

        Args:
            game: the game.
            rules: PDDL domain and text grammar; those shipped in alfworld's wheel if None.

        Raises:
            UserError: the extra is not installed, or the engine cannot read the game.
        """
        try:
            import textworld
            from alfworld.agents.environment import alfred_tw_env
        except ImportError as e:
            raise UserError(
                f"engine: textworld needs a package that is not installed ({e.name}); run "
                "`pip install 'duomem-jax[alfworld]'` or choose engine fast"
            ) from e
        argv = sys.argv
        # The file is read by `start` alone; resets do not need it.
        with tempfile.TemporaryDirectory() as folder:
            file = Path(game.file) if game.file and rules is None else Path(folder, "game.tw-pddl")
            if not file.exists():
                file.write_text(game_json(game, rules or shipped_rules()))
            try:
                self._env = textworld.start(
                    str(file),
                    request_infos=textworld.EnvInfos(won=True, admissible_commands=True),
                    wrappers=[alfred_tw_env.AlfredDemangler(), alfred_tw_env.AlfredInfos],
                )
            except (Exception, SystemExit) as e:  # its reader exits on a bad problem
                raise UserError(
                    f"game {game.id}: textworld cannot read it ({type(e).__name__}: {e}); "
                    "correct the pddl_problem or download the game again"
                ) from e
            finally:
                sys.argv = argv  # its reader of PDDL replaces them

    def reset(self) -> str:
        """Start again; return the first observation."""
        argv = sys.argv
        try:
            self._state = self._env.reset()
        finally:
            sys.argv = argv
        return self._state.feedback

    def step(self, command: str) -> tuple[str, bool]:
        """Play `command`; return the observation and whether the goal holds now."""
        self._state, _, _ = self._env.step(command)
        return self._state.feedback, self._state["won"]

    def admissible_commands(self) -> list[str]:
        """Every command that does something now, sorted."""
        return list(self._state["admissible_commands"])


def game_json(game: Game, rules: tuple[str, str]) -> str:
    """The text of `game` as a `game.tw-pddl`, byte for byte as ALFWorld writes it."""
    domain, grammar = rules
    # The grammar quotes the task: signs in it are escaped as in JSON, without its quotes.
    task = json.dumps(game.text)[1:-1]
    return json.dumps(
        {
            "pddl_domain": domain,
            "grammar": grammar.replace("UNKNOWN GOAL.", task),
            "pddl_problem": game.pddl_problem,
            "solvable": True,
            "walkthrough": list(game.walkthrough),
        }
    )


def shipped_rules() -> tuple[str, str]:
    """PDDL domain and text grammar in alfworld's wheel."""
    folder = resources.files("alfworld") / "data"
    return (folder / "alfred.pddl").read_text(encoding="utf-8"), (
        folder / "alfred.twl2"
    ).read_text()
