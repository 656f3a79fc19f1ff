"""Games as chats, and what a model's reply means.

This is the one place that decides how a game reads. Training, play, rollouts and memory writers all
render with it, so that a model plays exactly the conversations it was trained on.
"""

import re
from collections.abc import Iterable

from duomem_jax.records import chat
from duomem_jax.records.chat import Chat, text_of
from duomem_jax.records.episodes import Episode, Move, Turn

__all__ = [
    "GameChat",
    "episode_messages",
    "parse_action",
    "reply",
    "trajectory",
    "turn_messages",
]

_ACTION = "Action:"
_THOUGHT = "Thought:"
_OBSERVATION = "Observation: "
# The same as chat models write them: with Markdown around, and at times a space.
_MARKS = r"[*_`#]*"
_THINKS = re.compile(rf"\s*{_MARKS}\s*Thought{_MARKS}\s*:[*`]*")
_ACTS = re.compile(rf"(?:^[ \t]*{_MARKS}[ \t]*)?Action{_MARKS}[ \t]*:[*`]*", re.M)
_SEES = re.compile(rf"^[ \t]*{_MARKS}[ \t]*Observation{_MARKS}[ \t]*:", re.M)
_FENCE = re.compile(r"\s*```\w*\s*")
_QUOTES = ('""', "''", "“”", "\u2018\u2019")


class GameChat:
    """The chat of a game, which grows as it is played.

    Attributes:
        messages: so far.
    """

    def __init__(self, *, system: str = "", guidelines: str = ""):
        """Begin a chat.

        Args:
            system: content of a system message; none when empty.
            guidelines: text put before the first observation, parted by a blank line.
        """
        self.messages: Chat = [chat.system(system)] if system else []
        self._before = f"{guidelines}\n\n" if guidelines else ""

    def see(self, observation: str) -> None:
        """Add what the world answers."""
        self.messages.append(chat.user(self._before + observation))
        # Only answers to actions are marked; the first observation opens the game.
        self._before = _OBSERVATION

    def say(self, thought: str, action: str, learnt: bool = True) -> None:
        """Add the player's move, and whether it is to be learnt."""
        self.messages.append(chat.assistant(reply(thought, action), learnt=learnt))


def turn_messages(turns: Iterable[Turn], *, system: str = "", guidelines: str = "") -> Chat:
    """Played turns as a chat: observations from the user, thought and action as the reply.

    Args:
        turns: of one game, from its start.
        system, guidelines: see `GameChat`.
    """
    game = GameChat(system=system, guidelines=guidelines)
    for turn in turns:
        game.see(turn.observation)
        game.say(turn.thought, turn.action, turn.learnt)
    return game.messages


def episode_messages(episode: Episode, *, system: str = "", guidelines: str = "") -> Chat:
    """`turn_messages` of an episode; its final observation, which nobody answered, is not shown."""
    return turn_messages(episode.turns, system=system, guidelines=guidelines)


def trajectory(episode: Episode) -> str:
    """An episode as text: what was seen, thought and done, one after another, to its end."""
    parts = [text_of(message) for message in episode_messages(episode)]
    return "\n".join([*parts, _OBSERVATION + episode.final_observation])


def reply(thought: str, action: str) -> str:
    """Assistant content of a turn."""
    return f"{_THOUGHT} {thought}\n{_ACTION} {action}"


def parse_action(text: str, *, cut: bool = False) -> Move:
    """The move of a reply; the action is the first line after the last "Action:".

    What stands from an "Observation:" on has no say: the model made it up, and what follows answers
    what never happened. Markdown around the words and around the command is dropped, and so is a
    pair of quotes around it. A reply without an action has the action "", which the environment
    answers with nothing happening.

    Args:
        text: the reply.
        cut: it was stopped by the limit on tokens; an action that it ends in has no say then,
            since "go to cabinet 1" may have been on its way to cabinet 12.
    """
    first = _ACTS.search(text)
    if first and (made_up := _SEES.search(text, first.end())):
        # An action before it is whole, wherever the reply ended.
        text, cut = text[: made_up.start()], False
    *_, last = [None, *_ACTS.finditer(text)]
    thought, action = (text[: last.start()], text[last.end() :]) if last else (text, "")
    if thinks := _THINKS.match(thought):
        thought = thought[thinks.end() :]
    lines = [line for line in action.strip().splitlines() if not _FENCE.fullmatch(line)]
    if not lines or (cut and len(lines) == 1):
        return Move(thought.strip(), "")
    return Move(thought.strip(), _bare(lines[0]))


def _bare(command: str) -> str:
    """A command without Markdown and quotes around it."""
    command = command.strip().strip("*`").strip()
    paired = any(len(command) > 1 and command[0] + command[-1] == pair for pair in _QUOTES)
    return command[1:-1].strip() if paired else command
