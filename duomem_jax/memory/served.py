"""Memories written by a served model, several at once."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from duomem_jax.base.errors import UserError
from duomem_jax.base.prompts import load_prompt
from duomem_jax.memory.write import Writing
from duomem_jax.records.episodes import Episode
from duomem_jax.speak.served.chat import Reply, chat_request
from duomem_jax.speak.served.model import Request, ServedModel
from duomem_jax.speak.served.server import Server
from duomem_jax.text.turns import OBSERVATION, episode_messages


class ServedWriter:
    """Lets a model abstract won episodes to scripts; a `memory.write.Writer`.

    An answer that is empty or cut off, and an episode that is too long for the server, make no
    memory.

    Attributes:
        config: what its memories depend on.
    """

    def __init__(self, model: str, how: Writing, server: Server, record: Path):
        """Get ready; the model is asked when it is called.

        Args:
            model: as the server knows it.
            how: prompt and sampling.
            server: where and how hard to ask.
            record: where answers and their cost are kept, see `ServedModel`.

        Raises:
            UserError: a bad prompt or a bad number.
        """
        if how.max_tokens < 1:
            raise UserError(f"max_tokens is {how.max_tokens}; give a whole number above 0")
        self._prompt = load_prompt(how.prompt, ("task", "trajectory"))
        self._model, self._how, self._server, self._record = model, how, server, record
        self.config: dict[str, Any] = {
            "model": model,
            "prompt": self._prompt.sha256,
            "temperature": how.temperature,
            "max_tokens": how.max_tokens,
        }

    def __call__(self, episodes: Iterable[Episode]) -> Iterator[str]:
        """The script of each episode, "" where there is none."""
        with ServedModel(self._model, self._server, self._record) as model:
            for reply in model.ask(map(self._request, episodes)):
                yield "" if reply is None or reply.cut else " ".join(reply.text.split())

    def _request(self, episode: Episode) -> Request[Reply]:
        text = self._prompt.fill(task=episode.task, trajectory=trajectory(episode))
        return chat_request(
            self._model,
            [{"role": "user", "content": text}],
            max_tokens=self._how.max_tokens,
            temperature=self._how.temperature,
            seed=episode.seed,
        )


def trajectory(episode: Episode) -> str:
    """An episode as text: what was seen, thought and done, one after another."""
    parts = [message["content"] for message in episode_messages(episode)]
    return "\n".join([*parts, OBSERVATION + episode.final_observation])
