"""Memories written by a model, here or behind a server."""

from collections.abc import Iterable, Iterator
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

import tyro

from duomem_jax.base.prompts import load_prompt
from duomem_jax.base.ranges import Length, Temperature, options
from duomem_jax.records import chat
from duomem_jax.records.chat import Chat
from duomem_jax.records.episodes import Episode
from duomem_jax.speak.open import Local, open_speaker
from duomem_jax.speak.protocol import Reply, Sampling
from duomem_jax.speak.served.server import Server
from duomem_jax.text.turns import trajectory

WRITE_SCRIPT = "write_script"
PROMPTS = {WRITE_SCRIPT: Path(__file__).with_name("write_script.md")}


@options
class Writing:
    """How a model writes memories."""

    prompt: str = WRITE_SCRIPT  # of the package, or a text file with $task and $trajectory
    temperature: Temperature = 0.2  # MemP's (arXiv 2508.06433)
    max_new: Length = 1024  # tokens of a script; one that is cut off makes no memory
    local: Annotated[Local, tyro.conf.arg(name="")] = field(default_factory=Local)


class SpeakerWriter:
    """Lets a model abstract won episodes to scripts; a `Writer`.

    An answer that is empty or cut off, and an episode that is too long for the model, make no
    memory.

    Attributes:
        identity: what its memories depend on.
    """

    def __init__(
        self, model: str, identity: dict[str, Any], how: Writing, server: Server, record: Path
    ):
        """Get ready; the model is opened when it is called.

        Args:
            model: folder, hub id, shipped model, or openai:NAME.
            identity: what its answers depend on, see `speak.open.speaker_identity`.
            how: prompt, sampling, and how a model that runs here is held.
            server: where and how hard a served one is asked.
            record: where its answers and their cost are kept, see `ServedModel`.

        Raises:
            UserError: a bad prompt or a bad number.
        """
        self._model, self._local, self._server, self._record = model, how.local, server, record
        # Both may refuse: here, before an output folder is begun or a model is opened.
        self._sampling = Sampling(how.max_new, how.temperature)
        self._prompt = load_prompt(how.prompt, ("task", "trajectory"), PROMPTS)
        # The prompt by its hash, so that a file edited in place makes another bank.
        self.identity: dict[str, Any] = {
            **identity,
            "prompt": self._prompt.sha256,
            "temperature": how.temperature,
            "max_new": how.max_new,
        }

    def __call__(self, episodes: Iterable[Episode]) -> Iterator[str]:
        """The script of each episode, "" where there is none."""
        # Opened when the first script is asked for: a complete shard loads no weights.
        with open_speaker(
            self._model, self._local, server=self._server, record=self._record
        ) as speaker:
            yield from map(_script, speaker.reply(map(self._chat, episodes), self._sampling))

    def _chat(self, episode: Episode) -> Chat:
        text = self._prompt.fill(task=episode.task, trajectory=trajectory(episode))
        return [chat.user(text)]


def _script(reply: Reply | None) -> str:
    # Half a script would be retrieved like a whole one. The rest becomes one line: guidelines are
    # shown as JSON, which would spell line breaks as \n.
    return "" if reply is None or reply.cut else " ".join(reply.text.split())
