"""Episodes as chat messages, and what a model's reply means."""

from duomem_jax.records.episodes import Episode
from duomem_jax.text.template import Message

__all__ = [
    "episode_messages",
    "first_message",
    "next_message",
    "parse_action",
    "reply",
]

_ACTION = "Action:"
_THOUGHT = "Thought:"
OBSERVATION = "Observation: "


def episode_messages(episode: Episode, *, system: str = "", guidelines: str = "") -> list[Message]:
    """Chat form of an episode: observations from the user, thought and action as the reply.

    Args:
        system: content of a system message; none when empty.
        guidelines: text put before the first observation, parted by a blank line.
    """
    messages = [{"role": "system", "content": system}] if system else []
    for k, turn in enumerate(episode.turns):
        user = (
            first_message(turn.observation, guidelines)
            if k == 0
            else next_message(turn.observation)
        )
        messages.append({"role": "user", "content": user})
        messages.append({"role": "assistant", "content": reply(turn.thought, turn.action)})
    return messages


def first_message(observation: str, guidelines: str = "") -> str:
    """User content of the first turn."""
    return f"{guidelines}\n\n{observation}" if guidelines else observation


def next_message(observation: str) -> str:
    """User content of every later turn."""
    return OBSERVATION + observation


def reply(thought: str, action: str) -> str:
    """Assistant content of a turn."""
    return f"{_THOUGHT} {thought}\n{_ACTION} {action}"


def parse_action(text: str) -> tuple[str, str]:
    """(thought, action) of a reply; the action is the first line after the last "Action:".

    A reply without one has the action "", which the environment answers with nothing happening.
    """
    before, found, after = text.rpartition(_ACTION)
    thought, action = (before, after) if found else (text, "")
    lines = action.strip().splitlines()
    return thought.strip().removeprefix(_THOUGHT).strip(), lines[0].strip() if lines else ""
