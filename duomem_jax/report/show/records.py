"""One record of a dataset as text."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from duomem_jax.records.chat import Message
from duomem_jax.records.demonstrations import Demonstration
from duomem_jax.records.dialogues import Dialogue
from duomem_jax.records.episodes import Episode
from duomem_jax.records.memories import Memory

WIDTH = 100  # letters of a line
LEARNT, UNTIL = "\u2039", "\u203a"  # around what carries loss


def episode_text(episode: Episode) -> str:
    """A game as it went: what was seen, thought and done."""
    return "\n".join(_episode(episode))


def _episode(episode: Episode) -> Iterator[str]:
    ended = "won" if episode.success else "lost"
    yield f"{episode.game_id}, seed {episode.seed}: {ended} by {episode.player}"
    yield f"task: {episode.task}"
    if episode.memory_ids:
        yield f"memories shown: {', '.join(episode.memory_ids)}"
    for number, turn in enumerate(episode.turns, 1):
        yield indented(turn.observation)
        if turn.thought:
            yield f"{number:3} ({turn.thought})"
        yield f"{number:3} > {turn.action}{'' if turn.learnt else '  (not learnt)'}"
    yield indented(episode.final_observation)


def memory_text(memory: Memory) -> str:
    """A script, and how often it helped."""
    used = f"shown {memory.uses} times, {memory.successes} of them won"
    head = f"{memory.id}, from {memory.game_id}, by {memory.player}; {used}"
    return f"{head}\ntask: {memory.key}\n{indented(memory.text)}"


def dialogue_text(dialogue: Dialogue) -> str:
    """Who said what, what a teacher noted of it, and what is asked."""
    return "\n".join(_dialogue(dialogue))


def _dialogue(dialogue: Dialogue) -> Iterator[str]:
    yield f"{dialogue.id}: {' and '.join(dialogue.speakers)}"
    for number, session in enumerate(dialogue.sessions):
        yield f"\nsession {number + 1}, {session.at}"
        for turn in session.turns:
            yield indented(f"{turn.id} {turn.speaker}: {turn.said}")
        for fact in (fact for fact in dialogue.facts if fact.session == number):
            yield indented(f"noted: {fact.text} ({', '.join(fact.evidence)})")
    if dialogue.questions:
        yield "\nquestions"
    for question in dialogue.questions:
        key = question.answer or "(not said)"
        evidence = f" ({', '.join(question.evidence)})" if question.evidence else ""
        yield indented(f"{question.kind}: {question.text} {key}{evidence}")


def demonstration_text(demonstration: Demonstration) -> str:
    """A chat, as it is to be learnt."""
    head = f"{demonstration.id}: {demonstration.operation}, of {demonstration.group}"
    said = (f"{m['role']}:\n{indented(_content_text(m))}" for m in demonstration.messages)
    return "\n".join([head, *said])


def _content_text(message: Message) -> str:
    """What a message says, and where it shows what."""
    content = message["content"]
    if isinstance(content, str):
        return content
    parts = (p["text"] if p["type"] == "text" else f"[picture {p['path']}]" for p in content)
    return "".join(parts)


def row_text(record: dict[str, Any], tokenizer: Any) -> str:
    """A packed row: its conversations, with quotation marks around what carries loss.

    Args:
        record: fields of the row, arrays [T].
        tokenizer: that made it; None: token ids are shown.
    """
    segments_T, mask_T = record["segment_ids"], record["loss_mask"] > 0
    parts = []
    for segment in range(1, int(segments_T.max(initial=0)) + 1):
        here_T = segments_T == segment
        text = _marked(record["tokens"][here_T], mask_T[here_T], tokenizer)
        head = f"conversation {segment}: {here_T.sum()} tokens, {mask_T[here_T].sum()} carry loss"
        parts.append(f"{head}\n{indented(text)}")
    return "\n".join(parts)


def _marked(ids_T: np.ndarray, mask_T: np.ndarray, tokenizer: Any) -> str:
    # Where the mask changes, a new piece begins.
    changes = np.flatnonzero(np.diff(mask_T)) + 1
    pieces = np.split(ids_T, changes)
    starts = [0, *changes.tolist()]
    texts = (_decoded(piece.tolist(), tokenizer) for piece in pieces)
    return "".join(
        f"{LEARNT}{text}{UNTIL}" if mask_T[start] else text
        for text, start in zip(texts, starts, strict=True)
    )


def _decoded(ids: Sequence[int], tokenizer: Any) -> str:
    if tokenizer is None:
        return " ".join(map(str, ids)) + " "
    return tokenizer.decode(ids)


def indented(text: str) -> str:
    """Lines of at most `WIDTH` letters, set in from the margin."""
    lines = (
        textwrap.wrap(line, WIDTH, subsequent_indent="  ", break_long_words=False) or [""]
        for line in text.split("\n")
    )
    return textwrap.indent("\n".join(line for several in lines for line in several), "    ")
