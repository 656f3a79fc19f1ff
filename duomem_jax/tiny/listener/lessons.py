"""What the tiny listener is pretrained on: what one can do with lines, days and sentences.

Never the work of a memory itself: no lesson says which lines hold a fact, what a fact changes in
a list of memories, or that something was not told; and none has the prompts of those operations.
"""

import datetime
from collections.abc import Iterator

from duomem_jax.base.draw import Draw
from duomem_jax.decode.grammar import json_text
from duomem_jax.memory.operations.lines import day
from duomem_jax.records import chat
from duomem_jax.records.chat import Chat
from duomem_jax.records.dialogues import ADVERSARIAL, Dialogue, Fact, Session, Turn
from duomem_jax.tiny.listener.blur import blurred
from duomem_jax.worlds.dialogues import Size, generate_dialogue
from duomem_jax.worlds.dialogues.generate.dates import DAY, told, written
from duomem_jax.worlds.dialogues.made_up import made_up, made_up_name
from duomem_jax.worlds.dialogues.retold import swapped

SEED = 30_000_000  # far from the seeds of dialogues that anybody makes
SIZE = Size(sessions=6, turns=16, questions=60)
SWAPPED = 0.75  # share of the dialogues with made-up names and values
BLURRED = 0.5  # and of those with unknown words among what is said
_KEYS = ("line", "text", "id", "name", "word", "fact", "turn", "note", "day", "do", "say", "who")
_LISTS = ("lines", "list", "items", "facts", "words", "operations")
_WORDS = ("add", "keep", "update", "delete", "new", "old", "yes", "no", "none")


def lessons(index: int, swapped_share: float = SWAPPED) -> Iterator[Chat]:
    """The lessons of one training dialogue; they depend on its number alone.

    Args:
        index: of the dialogue.
        swapped_share: of the dialogues, those that have made-up names and values.
    """
    draw = Draw(f"listener {index}")
    dialogue = generate_dialogue(SEED, index, SIZE)
    if draw.chance(swapped_share):
        dialogue = swapped(dialogue, draw)
    if draw.chance(BLURRED):
        dialogue = blurred(dialogue, draw)
    for number, session in enumerate(dialogue.sessions):
        if draw.chance(0.15):
            yield _continued(draw, session)
        else:
            yield from _read(draw, dialogue, number)
    for _ in range(4):
        yield _days(draw)
    for _ in range(3):
        yield from _asked(draw, dialogue)
    for _ in range(3):
        yield from _compared(draw, dialogue)
    for _ in range(2):
        yield _listed(draw, dialogue)
        yield _looked_up(draw)


def _pairs(pairs: list[tuple[str, str]]) -> Chat:
    """Questions and replies by turns."""
    return [message for ask, reply in pairs for message in (chat.user(ask), chat.assistant(reply))]


def _line(turn: Turn) -> str:
    shared = f" [shares {turn.caption}]" if turn.caption else ""
    return f"{turn.speaker}: {turn.text}{shared}"


def _numbered(lines: list[str]) -> str:
    return "\n".join(f"{i}. {line}" for i, line in enumerate(lines, 1))


def _continued(draw: Draw, session: Session) -> Chat:
    """A talk that goes on."""
    said = [_line(turn) for turn in session.turns]
    start = draw.between(1, 3)
    return _pairs([(f"{day(session.at)}\n" + "\n".join(said[:start]), "\n".join(said[start:]))])


def _read(draw: Draw, dialogue: Dialogue, number: int) -> Iterator[Chat]:
    """Lines of a talk: who says one, which one has a word, what one says in the third person."""
    session, start = dialogue.sessions[number], 0
    while start < len(session.turns):
        turns = session.turns[start : start + draw.between(4, 9)]
        start += len(turns)
        asked = draw.shuffled([*_rewritten(dialogue, number, turns), *_found(draw, turns)])
        first, *rest = asked
        page = f"{day(session.at)}\n{_numbered([_line(turn) for turn in turns])}\n{first[0]}"
        yield _pairs([(page, first[1]), *rest])


def _rewritten(
    dialogue: Dialogue, number: int, turns: tuple[Turn, ...]
) -> Iterator[tuple[str, str]]:
    place = {turn.id: i for i, turn in enumerate(turns, 1)}
    for fact in dialogue.facts:
        if fact.session == number and all(turn in place for turn in fact.evidence):
            yield f"told of {place[fact.evidence[-1]]}", fact.text


def _found(draw: Draw, turns: tuple[Turn, ...]) -> Iterator[tuple[str, str]]:
    line = draw.below(len(turns))
    match draw.below(3):
        case 0:
            yield f"who says {line + 1}", turns[line].speaker
        case 1:
            yield f"copy {line + 1}", turns[line].text
        case _:
            words = [w for w in turns[line].text.split() if len(w) > 3] or [turns[line].text]
            word = draw.pick(words).strip(".,!?")
            where = next(i for i, turn in enumerate(turns, 1) if word in turn.text)
            yield f"where is {word}", str(where)


def _days(draw: Draw) -> Chat:
    """Days as people name them, seen from a given day."""
    today = datetime.date(2022, 1, 1) + datetime.timedelta(days=draw.below(1700))
    asked = []
    for _ in range(draw.between(5, 9)):
        past = today - datetime.timedelta(
            days=draw.pick((draw.between(1, 13), draw.between(1, 45)))
        )
        when = told(draw, past, today)
        asked.append((when.said, when.on))
    if draw.chance(0.5):
        a, b = (today - datetime.timedelta(days=draw.between(0, 400)) for _ in range(2))
        asked.append((f"later: {written(a, DAY)} or {written(b, DAY)}", written(max(a, b), DAY)))
    (first, reply), *rest = asked
    return _pairs([(f"{day(today.isoformat())}\n{first}", reply), *rest])


def _page(draw: Draw, dialogue: Dialogue, facts: list[Fact]) -> str:
    """Sentences, some of them behind their days."""
    if draw.chance(0.5):
        return "\n".join(fact.text for fact in facts)
    days = [day(dialogue.sessions[fact.session].at) for fact in facts]
    return "\n".join(f"[{at}] {fact.text}" for at, fact in zip(days, facts, strict=True))


def _asked(draw: Draw, dialogue: Dialogue) -> Iterator[Chat]:
    """Questions that one of a few sentences answers."""
    facts = _some(draw, dialogue, draw.pick((draw.between(4, 10), draw.between(8, 28))))
    told = {turn for fact in facts for turn in fact.evidence}
    asked = [
        (question.text, question.answer)
        for question in dialogue.questions
        if question.kind != ADVERSARIAL
        and set(question.evidence) <= told
        and any(question.answer.casefold() in fact.text.casefold() for fact in facts)
    ]
    if asked:
        (first, reply), *rest = draw.shuffled(asked)[:8]
        yield _pairs([(f"{_page(draw, dialogue, facts)}\n{first}", reply), *rest])


def _some(draw: Draw, dialogue: Dialogue, most: int) -> list[Fact]:
    """The last word on a few things, so that no two sentences contradict each other."""
    last = {fact.about: fact for fact in dialogue.facts}
    chosen = draw.shuffled(list(last.values()))[:most]
    return sorted(chosen, key=dialogue.facts.index)


def _compared(draw: Draw, dialogue: Dialogue) -> Iterator[Chat]:
    """Whether two sentences are about one thing, and whether they say the same of it."""
    facts = list(dialogue.facts)
    news = [i for i, fact in enumerate(facts) if any(f.about == fact.about for f in facts[:i])]
    if not news:
        return
    new = facts[draw.pick(news)]
    before = {f.about: f for f in facts[: facts.index(new)]}
    like = before.pop(new.about, None)
    others = draw.shuffled([f for f in before.values() if f.about != new.about])[:5]
    # Half of them of the same person or of the same sort, which is what is easy to confuse.
    near = [f for f in before.values() if f.about.split("/")[1] == new.about.split("/")[1]]
    listed = draw.shuffled([*([like] if like else []), *dict.fromkeys([*near[:2], *others[:3]])])
    asked = [("same matter", str(listed.index(like) + 1) if like else "none")]
    if like:
        same = (like.value, like.ends) == (new.value, new.ends)
        asked.append(("same thing said", "yes" if same else "no"))
    if listed:
        place = draw.below(len(listed))
        asked.append((f"whose is {place + 1}", listed[place].about.split("/")[0]))
    (first, reply), *rest = asked
    page = _numbered([fact.text for fact in listed])
    yield _pairs([(f"{page}\nand: {new.text}\n{first}", reply), *rest])


def _listed(draw: Draw, dialogue: Dialogue) -> Chat:
    """Some lines of a list as JSON."""
    texts = [fact.text for fact in draw.shuffled(dialogue.facts)[:2]]
    texts += [" ".join(made_up(draw) for _ in range(draw.between(1, 3))) for _ in range(2)]
    texts = draw.shuffled([*texts, draw.pick(_WORDS)])
    number, text = draw.shuffled(_KEYS)[:2]
    outer = draw.pick(_LISTS)
    asked = []
    for _ in range(3):
        chosen = [i for i in range(len(texts)) if draw.chance(0.4)]
        rows = [{number: i + 1, text: texts[i]} for i in chosen]
        wanted = ", ".join(str(i + 1) for i in chosen) or "none"
        asked.append((f"{outer}: {number}, {text}; {wanted}", json_text({outer: rows})))
    (first, reply), *rest = asked
    return _pairs([(f"{_numbered(texts)}\n{first}", reply), *rest])


def _looked_up(draw: Draw) -> Chat:
    """Which word stands beside which name."""
    names = list(dict.fromkeys(made_up_name(draw) for _ in range(draw.between(4, 8))))
    words = [" ".join(made_up(draw) for _ in range(draw.pick((1, 1, 2)))) for _ in names]
    asked = []
    for i in draw.shuffled(range(len(names)))[:4]:
        asked.append((names[i], words[i]) if draw.chance(0.6) else (words[i], names[i]))
    (first, reply), *rest = asked
    page = "\n".join(f"{name}: {word}" for name, word in zip(names, words, strict=True))
    return _pairs([(f"{page}\n{first}", reply), *rest])
