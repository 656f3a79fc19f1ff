"""Players that never say what they do: counted, and told once they have played."""

import logging

from duomem_jax.records.episodes import Episode

log = logging.getLogger(__name__)


class Silence:
    """Counts the replies of a player that held no action, in games where none did."""

    def __init__(self, player: str):
        """Count nothing yet; `player` is its name in the log."""
        self._player, self._games, self._silent, self._replies = player, 0, 0, 0

    def add(self, episode: Episode) -> None:
        """Take in a game that has ended."""
        self._games += 1
        # A game without a reply did not fit, which is told elsewhere; one action is enough.
        if episode.turns and not any(turn.action for turn in episode.turns):
            self._silent += 1
            self._replies += len(episode.turns)

    def tell(self) -> None:
        """Log one line where there was such a game."""
        if self._silent:
            log.warning(
                f"{self._player}: in {self._silent} of {self._games} games none of "
                f"{self._replies} replies held an action; give it the rules "
                '(--player.system @play), room for "Action:" (--player.max-new), or an adapter'
            )
