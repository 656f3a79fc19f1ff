"""Talking with somebody whom a store remembers."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from duomem_jax.base.io import clear_os_errors
from duomem_jax.base.prompts import load_prompt
from duomem_jax.memory.operations.answer import memo_of
from duomem_jax.memory.operations.lines import block, dated
from duomem_jax.memory.operations.look import sight_parts, sights_of
from duomem_jax.memory.store.entry import Found
from duomem_jax.memory.store.keeper import Query
from duomem_jax.memory.store.store import Store
from duomem_jax.records import chat
from duomem_jax.records.chat import Chat, Part
from duomem_jax.records.store.manifest import file_sha256
from duomem_jax.speak.protocol import Sampling, Speaker

PROMPT = load_prompt(str(Path(__file__).with_name("prompts") / "chat.md"), ("memories",))
HELD = (
    12  # messages of this talk that the model reads again; older ones are in the store, if at all
)
LONGEST = 200  # tokens of a reply


class Talker:
    """One talk with one person; what is remembered of it is the caller's business."""

    def __init__(self, store: Store, speaker: Speaker, who: str, k: int):
        """Begin to talk.

        Args:
            store: what is known.
            speaker: who replies.
            who: whose memories may be used.
            k: how many are shown before a reply.
        """
        self._store, self._speaker, self._who, self._k = store, speaker, who, k
        self._said: Chat = []

    def reply(self, text: str, picture: str = "") -> str:
        """The reply to what the person says; "" where the talk does not fit the model.

        A model that sees is shown what they share, and pictures of memories that fit what they say
        (`look.sights_of`), unless they are in this talk already.

        Args:
            text: what they say.
            picture: file of what they share with it; "" for none.

        Raises:
            UserError: a picture is missing, or has been changed.
        """
        found = self._store.recall(text, k=self._k, who=self._who)
        memos = sorted((memo_of(entry) for entry, _ in found), key=lambda memo: memo.at)
        system = PROMPT.fill(memories=block(dated(memo.at, memo.text) for memo in memos))
        # An even number, so that what is left begins with the person.
        self._said = self._said[-HELD:]
        parts = [*self._pictures(text, picture, found), chat.text(text)]
        self._said.append(chat.user(chat.content_of(parts)))
        asked = [chat.system(system), *self._said]
        (reply,) = self._speaker.reply([asked], Sampling(LONGEST))
        answer = reply.text if reply else ""
        self._said.append(chat.assistant(answer))
        return answer

    def _pictures(self, text: str, picture: str, found: Sequence[Found]) -> Iterator[Part]:
        """What is shown before something that the person says."""
        if not self._speaker.sees:
            return
        held = {part.get("sha256") for message in self._said for part in chat.pictures_of(message)}
        sights = sights_of(self._store, Query(text, who=self._who), found)
        yield from sight_parts(s for s in sights if s.picture.get("sha256") not in held)
        if picture:
            # By its content, so that its memory does not show it once more.
            with clear_os_errors(Path(picture)):
                content = file_sha256(Path(picture))
            yield chat.picture(picture, content)
