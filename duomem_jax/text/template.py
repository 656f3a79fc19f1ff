"""The fixed texts that a chat template puts around the contents of messages.

They are learnt by rendering probe messages once, and checked: conversations put together from
them must be the template's own rendering.

Replies look the same in every turn, because a generator's cache cannot be rewritten: they begin
as the template begins a new one with thinking switched off. For Qwen3 that is an empty think
block, which its template would drop from earlier turns once the next user message is there; every
other text is the template's to the letter.

Some templates print the day's date. Here every day is `DAY`, so that prompts depend on files alone.
"""

import datetime
import logging
from collections.abc import Sequence
from typing import Any

from duomem_jax.base.errors import UserError, first_line
from duomem_jax.records import chat
from duomem_jax.records.chat import Chat, Content, Message

logger = logging.getLogger(__name__)

DAY = datetime.datetime(2024, 7, 26)  # what Llama's templates print where there is no clock
# Of a model that was trained on no chats: every message between its role and the end of a text, the
# only token that such a tokenizer has for an end.
PLAIN = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ message.role }}\n{{ message.content }}{{ eos_token }}\n"
    "{% endfor %}{% if add_generation_prompt %}assistant\n{% endif %}"
)
TURNS = 50  # of the chat that a template is tried on: as many as a game has

# Words that no template holds, each different, so that `partition` finds their places.
_USERS = ("probe zero", "probe one", "probe two")
_REPLIES = ("probe three", "probe four")

_CLOCK = "strftime_now"  # the only one that transformers gives to templates
_DIRECTIVES = ("-d", "-m", *"aAbBcdHIjmMpSxXyY")  # of strftime; others stay as they are written


def _on_fixed_day(template: str) -> str:
    """The template with a macro in place of its clock, which only another template could hide."""
    if _CLOCK not in template:
        return template
    filters = [f"replace('%{d}', '{DAY.strftime(f'%{d}')}')" for d in _DIRECTIVES]
    macro = f"{{%- macro {_CLOCK}(format) -%}}{{{{ {' | '.join(['format', *filters])} }}}}"
    return f"{macro}{{%- endmacro -%}}{template}"


def _in_parts(message: Message) -> dict[str, Any]:
    """A message whose content is a list, whatever it was."""
    content = message["content"]
    return {**message, "content": [chat.text(content)] if isinstance(content, str) else content}


class TurnTemplate:
    """Texts of the turns of a chat under one tokenizer's template; contents are stripped.

    Where a template has no system role (Gemma 2), the system message opens the first user message,
    with a blank line behind it.

    Some templates want contents in parts, as those of models that see do. What stands around a
    picture depends on what it stands beside (SmolVLM's has no space before one), so a message with
    pictures is rendered whole.

    Attributes:
        name: of the tokenizer, for messages.
        opening: what the template says before a first user message and before its reply.
        reply_header: what precedes the content of every reply.
        end_id: the end-of-turn token that closes a reply.

    Raises:
        UserError: the template rewrites earlier turns, or can only think.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._template = _on_fixed_day(tokenizer.chat_template)
        self.name = getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__
        (u0, u1, u2), (a0, a1) = _USERS, _REPLIES
        self._in_parts = self._wants_parts()
        # The shortest chat with a second turn that can be compared with the first.
        probe = [
            chat.user(u0),
            chat.assistant(a0),
            chat.user(u1),
            chat.assistant(a1),
            chat.user(u2),
        ]
        start, earlier, between, *again = self._cut(self._render(probe), (u0, a0, u1, a1, u2))
        _, self.reply_header = self._cut(self._render(probe[:1], reply_next=True), (u0,))
        # A template may leave the space before a reply's first word to the model: SmolVLM's does.
        longer = earlier.startswith(self.reply_header)
        self._lead = earlier.removeprefix(self.reply_header) if longer else ""
        begins = self.reply_header + self._lead
        # The second turn must be framed like the first; then every later one is taken to be.
        if again[:2] != [earlier, between] or not begins.startswith(earlier) or self._lead.strip():
            raise self._not_local()
        self._in_history = earlier.removesuffix(self._lead)
        # It has what a template says of its own accord, such as Qwen2.5's default system message.
        self._starts = {"": start}
        self._opens_user: set[str] = set()  # system messages that the first user message opens with
        self.opening = start + self.reply_header
        self._end, self._to_user, self.end_id = self._split_end(between)
        self._check()

    def first(self, content: Content, system: str = "") -> str:
        """From the start of a conversation to where its first reply's content begins."""
        system = system.strip()
        if system not in self._starts:
            self._starts[system] = self._start_with(system)
        if isinstance(content, str):
            return self._starts[system] + content.strip() + self.reply_header
        if system in self._opens_user:
            content = chat.content_of([chat.text(f"{system}\n\n"), *content])
        told = [chat.system(system)] if system and system not in self._opens_user else []
        return self._render([*told, chat.user(content)], reply_next=True)

    def _start_with(self, system: str) -> str:
        """What precedes the first user content where there is a system message."""
        (u0, u1, _), (a0, _) = _USERS, _REPLIES
        messages = [chat.system(system), chat.user(u0), chat.assistant(a0), chat.user(u1)]
        try:
            start = self._cut(self._render(messages[:2]), (u0,))[0]
            whole = self._render(messages, reply_next=True)
        except UserError as e:
            # Templates refuse the role themselves, as Gemma 2's does.
            return self._folded(system, str(e))
        if start == self._starts[""]:
            # Or they ignore it without an error.
            return self._folded(system, "its chat template drops it")
        if system not in start:
            raise UserError(
                f"tokenizer {self.name}: its chat template rewrites the system message; omit it or "
                "use another tokenizer"
            )
        if whole != start + u0 + self._exchange(a0, u1) + self.reply_header:
            # Or they move it to the last user message.
            return self._folded(system, "its chat template moves it from turn to turn")
        return start

    def _exchange(self, reply: str, user: str) -> str:
        """An earlier reply and the user message after it, as the template renders both."""
        # It may drop the think block of earlier replies, which `reply_header` keeps.
        return self._in_history + self.reply(reply) + self._to_user + user

    def _folded(self, system: str, why: str) -> str:
        logger.info("%s: the system message opens the first user message (%s)", self.name, why)
        self._opens_user.add(system)
        return f"{self._starts['']}{system}\n\n"

    def next(self, content: Content) -> str:
        """From after the end-of-turn token to where the next reply's content begins."""
        if isinstance(content, str):
            return self._to_user + content.strip() + self.reply_header
        (u0, *_), (a0, _) = _USERS, _REPLIES
        messages = [chat.user(u0), chat.assistant(a0), chat.user(content)]
        return self._cut(self._render(messages, reply_next=True), (u0, a0))[2].removeprefix(
            self._end
        )

    def reply(self, content: str) -> str:
        """What follows the header of a reply: its content and its end of turn."""
        return self._lead + content.strip() + self._end

    def _wants_parts(self) -> bool:
        """Whether the template shows no content but one in parts."""
        for in_parts in (False, True):
            self._in_parts = in_parts
            try:
                if _USERS[0] in self._render([chat.user(_USERS[0])]):
                    return in_parts
            except UserError:
                continue
        # It shows none: said where the first text is looked for.
        return False

    def _render(self, messages: Chat, *, reply_next: bool = False) -> str:
        try:
            return self._tokenizer.apply_chat_template(
                [_in_parts(m) for m in messages] if self._in_parts else messages,
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=reply_next,
                enable_thinking=False,  # templates that know no thinking ignore it
            )
        # A template is a program, and fails as one: in Jinja's own errors, which it may raise
        # itself, or in Python's.
        except Exception as e:
            raise UserError(
                f"tokenizer {self.name}: its chat template refuses the messages ({first_line(e)}); "
                "use another tokenizer or chat template"
            ) from e

    def _cut(self, text: str, contents: Sequence[str]) -> list[str]:
        """The fixed texts around `contents` in a rendering."""
        parts = []
        for content in contents:
            before, found, text = text.partition(content)
            if not found:
                raise self._not_local()
            parts.append(before)
        return [*parts, text]

    def _split_end(self, between: str) -> tuple[str, str, int]:
        """(end of turn, rest, its id) of the text between a reply and the next user content."""
        ids = self._tokenizer([between], add_special_tokens=False)["input_ids"][0]
        # The first special token after a reply closes it; what follows belongs to the next turn.
        special = {i for i, t in self._tokenizer.added_tokens_decoder.items() if t.special}
        end_id = next((i for i in ids if i in special), None)
        if end_id is None:
            raise self._not_local()
        token = self._tokenizer.convert_ids_to_tokens(end_id)
        before, _, rest = between.partition(token)
        return before + token, rest, end_id

    def _check(self) -> None:
        if self.reply_header.count("<think>") != self.reply_header.count("</think>"):
            raise UserError(
                f"tokenizer {self.name}: its chat template lets no reply begin without thinking; "
                "use a model that can answer directly"
            )
        # A colon, a line break and a number: what templates and their filters may trip over.
        users, replies = (
            [f"Thought: {p},\n 7 {p} {i}." for i in range(TURNS + 1)]
            for p in (_USERS[0], _REPLIES[0])
        )
        messages, whole = [chat.user(users[0])], self._starts[""] + users[0]
        self._compare(messages, whole)
        for reply, user in zip(replies[:TURNS], users[1:], strict=True):
            messages += [chat.assistant(reply), chat.user(user)]
            whole += self._exchange(reply, user)
        # Short and long: a template may count its turns, or drop the first of many.
        self._compare(messages[:3], whole[: whole.index(users[1]) + len(users[1])])
        self._compare(messages, whole)

    def _compare(self, messages: Chat, text: str) -> None:
        if self._render(messages, reply_next=True) != text + self.reply_header:
            raise self._not_local()

    def _not_local(self) -> UserError:
        return UserError(
            f"tokenizer {self.name}: its chat template does not render turn by turn, so turns "
            "cannot be appended to a conversation; use a tokenizer with a ChatML-like template"
        )
