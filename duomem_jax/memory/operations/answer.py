"""Answering: a question, from the memories that are shown."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from duomem_jax.base.prompts import load_prompt
from duomem_jax.memory.operations.lines import block, dated, line
from duomem_jax.memory.store.change import matched
from duomem_jax.memory.store.entry import Entry
from duomem_jax.records import chat
from duomem_jax.records.chat import Chat

PROMPT = load_prompt(
    str(Path(__file__).with_name("prompts") / "answer.md"), ("memories", "question")
)
UNKNOWN = "No information available"  # one of the two phrases that LoCoMo's scoring knows
LONGEST = 48  # tokens of an answer


@dataclass(frozen=True)
class Memo:
    """Something that is shown with a question: a memory, or a turn as it was said.

    Attributes:
        at: when it happened or was said, ISO 8601 in UTC.
        text: what it says.
    """

    at: str
    text: str


def memo_of(entry: Entry) -> Memo:
    """A memory as it is shown: with the name of who said it, where it does not say so itself."""
    return Memo(entry.happened, matched(entry.text, entry.speaker, ""))


def answer_chat(question: str, shown: Iterable[Memo]) -> Chat:
    """What a model is asked.

    Args:
        question: in words.
        shown: in any order; they are put in that of time.
    """
    memories = (dated(m.at, m.text) for m in sorted(shown, key=lambda memo: memo.at))
    text = PROMPT.fill(memories=block(memories), question=line(question))
    return [chat.user(text)]


def answer_reply(key: str) -> str:
    """The reply that an expert is taught; `key` is "" where the dialogue does not say."""
    return key or UNKNOWN
