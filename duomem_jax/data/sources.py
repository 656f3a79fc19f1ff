"""What rows are made from: won episodes, or a teacher's demonstrations."""

import dataclasses
import itertools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from duomem_jax.base.errors import UserError
from duomem_jax.records.chat import Chat
from duomem_jax.records.demonstrations import Demonstration, demonstration_from_record
from duomem_jax.records.episodes import Episode
from duomem_jax.records.played import read_episodes
from duomem_jax.records.store.manifest import content_hash
from duomem_jax.records.store.reader import RecordReader, read_dataset
from duomem_jax.records.store.spec import DEMONSTRATIONS, EPISODES, PICTURES, SPLIT
from duomem_jax.text.turns import episode_messages

if TYPE_CHECKING:
    from duomem_jax.data.examples import View


class Source(Protocol):
    """Items that each become one conversation.

    Attributes:
        identity: what they are, by content; part of the dataset's identity.
        unit: what one of them is, in the plural.
    """

    identity: dict[str, str]
    unit: str

    def __len__(self) -> int: ...

    def block(self, first: int, step: int) -> list[Any]:
        """Item `first` and each further one `step` after it, those that are not learnt included."""
        ...

    def learnt(self, item: Any) -> bool:
        """Whether its replies are to be learnt."""
        ...

    def chats(self, items: list[Any], view: "View") -> list[Chat]:
        """The items as a model reads them."""
        ...

    def name(self, item: Any) -> str:
        """The item in a message."""
        ...


class Episodes:
    """Played games, of which those that were won are learnt; a `Source`."""

    unit = "episodes"

    def __init__(self, folder: str | os.PathLike):
        """Open a folder of episodes.

        Raises:
            UserError: missing, damaged or something else.
        """
        self._episodes = read_episodes(folder)
        # By content, not by path: a copied folder continues, changed episodes are refused.
        self.identity = {EPISODES: content_hash(folder, EPISODES)}

    def __len__(self) -> int:
        return len(self._episodes)

    def block(self, first: int, step: int) -> list[Episode]:
        """Some episodes."""
        return self._episodes[first::step]

    def learnt(self, item: Episode) -> bool:
        """Whether it was won, and by moves."""
        return item.success and bool(item.turns)

    def chats(self, items: list[Episode], view: "View") -> list[Chat]:
        """The games as chats, with what the view shows before them."""
        texts = view.guidelines(items) if view.guidelines else [""] * len(items)
        return [
            episode_messages(episode, system=view.system, guidelines=text)
            for episode, text in zip(items, texts, strict=True)
        ]

    def name(self, item: Episode) -> str:
        """Its game."""
        return f"episode {item.game_id}"


class Demonstrations:
    """Chats that a teacher answered, all of which are learnt; a `Source`."""

    unit = "demonstrations"

    def __init__(self, folders: Sequence[str]):
        """Open folders of demonstrations, one behind the other.

        Raises:
            UserError: one is missing, damaged or something else.
        """
        datasets = [read_dataset(folder, SPLIT, DEMONSTRATIONS) for folder in folders]
        self._places = [(records, i) for records in datasets for i in range(len(records))]
        hashes = [content_hash(folder, DEMONSTRATIONS) for folder in folders]
        self.identity = {DEMONSTRATIONS: " ".join(hashes)}

    def __len__(self) -> int:
        return len(self._places)

    def block(self, first: int, step: int) -> list[Demonstration]:
        """Some demonstrations."""
        places = self._places[first::step]
        return [
            # Among the notes: where files of pictures lie does not change what they show.
            demonstration_from_record(records[i], _folder_of_pictures(records))
            for records, i in places
        ]

    def learnt(self, item: Demonstration) -> bool:
        """Always: a teacher shows nothing else."""
        return True

    def chats(self, items: list[Demonstration], view: "View") -> list[Chat]:
        """The chats as they were shown.

        Raises:
            UserError: the view would add to them.
        """
        if view.system or view.guidelines:
            raise UserError(
                "demonstrations hold all that their model is told; omit how.system and the memories"
            )
        return [item.messages for item in items]

    def name(self, item: Demonstration) -> str:
        """Its id."""
        return f"demonstration {item.id}"


def _folder_of_pictures(records: RecordReader) -> str:
    """What paths of pictures are relative to."""
    return str(records.facts.get("notes", {}).get(PICTURES, ""))


class Together:
    """Episodes, and demonstrations behind them; a `Source`.

    Demonstrations hold all that their model is told: only episodes get what the view adds.
    """

    unit = "conversations"

    def __init__(self, episodes: Episodes, demonstrations: Demonstrations):
        self._episodes, self._demonstrations = episodes, demonstrations
        self.identity = episodes.identity | demonstrations.identity

    def __len__(self) -> int:
        return len(self._episodes) + len(self._demonstrations)

    def block(self, first: int, step: int) -> list[Any]:
        """Some episodes and demonstrations."""
        # Counted on behind the episodes, the first one of a block lies within the first step.
        begin = (first - len(self._episodes)) % step
        return [*self._episodes.block(first, step), *self._demonstrations.block(begin, step)]

    def learnt(self, item: Any) -> bool:
        """Whether it was shown, or won by moves."""
        return self._source_of(item).learnt(item)

    def chats(self, items: list[Any], view: "View") -> list[Chat]:
        """The games with what the view shows before them, the demonstrations as they were shown."""
        bare = dataclasses.replace(view, system="", guidelines=None)
        chats: list[Chat] = []
        for source, some in itertools.groupby(items, self._source_of):
            chats += source.chats([*some], view if source is self._episodes else bare)
        return chats

    def name(self, item: Any) -> str:
        """Its game, or its id."""
        return self._source_of(item).name(item)

    def _source_of(self, item: Any) -> Source:
        return self._episodes if isinstance(item, Episode) else self._demonstrations
