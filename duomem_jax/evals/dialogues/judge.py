"""A model as judge of answers, under a lenient and a strict rubric.

The same answers of one published system are 91 % right under a lenient prompt and 35 % under a
strict one, so a single number of one judge says little: show both.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from duomem_jax.base.parse import parse_json
from duomem_jax.base.prompts import load_prompt
from duomem_jax.records import chat
from duomem_jax.records.chat import Chat
from duomem_jax.speak.protocol import Reply, Sampling, Speaker

Rubric = Literal["lenient", "strict"]
RUBRICS: tuple[Rubric, ...] = ("lenient", "strict")
MAX_NEW = 256  # tokens of a verdict
SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "maxLength": 300},
        "correct": {"type": "boolean"},
    },
    "required": ["correct"],
    "additionalProperties": False,
}
_PROMPTS: dict[str, Path] = {
    rubric: Path(__file__).with_name(f"judge_{rubric}.md") for rubric in RUBRICS
}


@dataclass(frozen=True)
class Case:
    """An answer to judge.

    Attributes:
        id: names it in the transcript.
        question: what was asked.
        key: the right answer.
        answer: what was answered.
    """

    id: str
    question: str
    key: str
    answer: str


@dataclass(frozen=True)
class Verdict:
    """What a judge made of a case, with all that it read and wrote.

    Attributes:
        id: of the case.
        rubric: it was judged by.
        correct: None where the reply is no verdict. Nothing is guessed from such a reply.
        chat: what the judge read.
        reply: what it wrote; "" where the case was too long for it.
    """

    id: str
    rubric: Rubric
    correct: bool | None
    chat: Chat
    reply: str


class Judge:
    """Asks any speaker for verdicts.

    Args:
        speaker: who judges.
        rubric: what counts as right.

    Attributes:
        identity: what its verdicts depend on.
    """

    def __init__(self, speaker: Speaker, rubric: Rubric) -> None:
        self._speaker, self._rubric = speaker, rubric
        self._prompt = load_prompt(rubric, ("data",), _PROMPTS)
        self.identity: dict[str, Any] = {
            **speaker.identity(),
            "rubric": rubric,
            "prompt": self._prompt.sha256,
        }

    def __call__(self, cases: Sequence[Case]) -> Iterator[Verdict]:
        """The verdict of each case, in their order.

        Raises:
            UserError: the speaker fails.
        """
        chats = [self.chat(case) for case in cases]
        replies = self._speaker.reply(chats, Sampling(MAX_NEW, schema=SCHEMA))
        for case, asked, reply in zip(cases, chats, replies, strict=True):
            text = reply.text if reply is not None else ""
            yield Verdict(case.id, self._rubric, _verdict(reply), asked, text)

    def chat(self, case: Case) -> Chat:
        """What the judge reads."""
        data = {"question": case.question, "key": case.key, "answer": case.answer}
        return [chat.user(self._prompt.fill(data=_as_data(data)))]


def _as_data(values: dict[str, str]) -> str:
    """One line of JSON that no value can end early.

    Quotes and line breaks are escaped by JSON itself. So is "<" here, as chat templates part
    messages by words such as <|im_end|>, and tokenizers find these in any text.
    """
    return json.dumps(values, ensure_ascii=False).translate(_ESCAPES)


# JSON leaves these as they are, though some readers take them for the end of a line.
_BREAKS = "<\x7f\x85\u2028\u2029"
_ESCAPES = {ord(letter): f"\\u{ord(letter):04x}" for letter in _BREAKS}


def _verdict(reply: Reply | None) -> bool | None:
    if reply is None or reply.cut:
        return None
    try:
        found = parse_json(reply.text)
    except ValueError:
        return None
    if not isinstance(found, dict) or not {"correct"} <= set(found) <= {"reason", "correct"}:
        return None
    return found["correct"] if isinstance(found["correct"], bool) else None
