"""Talking with somebody whom a store remembers."""

from pathlib import Path

from duomem_jax.base.prompts import load_prompt
from duomem_jax.memory.operations.answer import memo_of
from duomem_jax.memory.operations.lines import block, dated
from duomem_jax.memory.store.store import Store
from duomem_jax.records import chat
from duomem_jax.records.chat import Chat, Part
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

        Args:
            text: what they say.
            picture: file of what they share with it, which a model that sees is shown; "" for none.
        """
        found = self._store.recall(text, k=self._k, who=self._who)
        memos = sorted((memo_of(entry) for entry, _ in found), key=lambda memo: memo.at)
        system = PROMPT.fill(memories=block(dated(memo.at, memo.text) for memo in memos))
        # An even number, so that what is left begins with the person.
        parts: list[Part] = [chat.text(text)]
        if picture and self._speaker.sees:
            parts.insert(0, chat.picture(picture))
        self._said = [*self._said[-HELD:], chat.user(chat.content_of(parts))]
        asked = [chat.system(system), *self._said]
        (reply,) = self._speaker.reply([asked], Sampling(LONGEST))
        answer = reply.text if reply else ""
        self._said.append(chat.assistant(answer))
        return answer
