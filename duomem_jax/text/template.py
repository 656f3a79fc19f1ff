"""The fixed texts that a chat template puts around the contents of messages.

They are learnt by rendering probe messages once, and checked: conversations put together from
them must be the template's own rendering.

Replies look the same in every turn, because a generator's cache cannot be rewritten: they begin
as the template begins a new one with thinking switched off. For Qwen3 that is an empty think
block, which its template would drop from earlier turns once the next user message is there; every
other text is the template's to the letter.
"""

from collections.abc import Sequence
from typing import Any

from duomem_jax.base.errors import UserError
from duomem_jax.records import chat
from duomem_jax.records.chat import Chat

# Words that no template holds, each different, so that `partition` finds their places.
_USERS = ("probe zero", "probe one", "probe two")
_REPLIES = ("probe three", "probe four")


class TurnTemplate:
    """Texts of the turns of a chat under one tokenizer's template; contents are stripped.

    Attributes:
        name: of the tokenizer, for messages.
        reply_header: what precedes the content of every reply.
        end_id: the end-of-turn token that closes a reply.

    Raises:
        UserError: the template rewrites earlier turns, or can only think.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.name = getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__
        (u0, u1, u2), (a0, a1) = _USERS, _REPLIES
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
        # The second turn must be framed like the first; then every later one is taken to be.
        if again[:2] != [earlier, between] or not self.reply_header.startswith(earlier):
            raise self._not_local()
        self._in_history = earlier
        # It has what a template says of its own accord, such as Qwen2.5's default system message.
        self._starts = {"": start}
        self._end, self._to_user, self.end_id = self._split_end(between)
        self._check()

    def first(self, content: str, system: str = "") -> str:
        """From the start of a conversation to where its first reply's content begins."""
        if system not in self._starts:
            messages = [chat.system(system.strip()), chat.user(_USERS[0])]
            start = self._cut(self._render(messages), _USERS[:1])[0]
            # A template may ignore the role without an error.
            if system.strip() not in start:
                raise UserError(
                    f"tokenizer {self.name}: its chat template drops the system message; omit "
                    "it or use another tokenizer"
                )
            self._starts[system] = start
        return self._starts[system] + content.strip() + self.reply_header

    def next(self, content: str) -> str:
        """From after the end-of-turn token to where the next reply's content begins."""
        return self._to_user + content.strip() + self.reply_header

    def reply(self, content: str) -> str:
        """Content of a reply and its end of turn."""
        return content.strip() + self._end

    def _render(self, messages: Chat, *, reply_next: bool = False) -> str:
        # Templates raise it themselves, as Gemma 2's does for a system message.
        from jinja2 import TemplateError

        try:
            return self._tokenizer.apply_chat_template(
                messages,
                tokenize=False,
                add_generation_prompt=reply_next,
                enable_thinking=False,  # templates that know no thinking ignore it
            )
        except TemplateError as e:
            raise UserError(
                f"tokenizer {self.name}: its chat template refuses the messages ({e}); omit the "
                "system message or use another tokenizer"
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
        u0, a0, u1 = [f"Thought: {p},\n 7 {p}." for p in (*_USERS[:2], _REPLIES[0])]
        probe = [chat.user(u0), chat.assistant(a0), chat.user(u1)]
        first = self.first(u0)
        whole = first + self.reply(a0) + self.next(u1)
        # Of an earlier reply the template may drop the think block, which `reply_header` keeps.
        whole = self._in_history.join(whole.split(self.reply_header, 1))
        if (first, whole) != tuple(self._render(c, reply_next=True) for c in (probe[:1], probe)):
            raise self._not_local()

    def _not_local(self) -> UserError:
        return UserError(
            f"tokenizer {self.name}: its chat template does not render turn by turn, so turns "
            "cannot be appended to a conversation; use a tokenizer with a ChatML-like template"
        )
