"""Chunks of random and real tokenisations: whole, equal on both sides, and as fine as can be."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import byte_level, fast, sentencepiece

from duomem_jax.data.pack import Conversation
from duomem_jax.data.rows import RowFormat
from duomem_jax.text.alignment import Aligner, UnalignableError, align
from duomem_jax.text.encoded import Example
from duomem_jax.text.spelling import Speller
from duomem_jax.text.tokenizer import chat_tokens
from duomem_jax.text.turns import episode_messages

PAIRS = {"<|im_end|>": "<end_of_turn>", "<|endoftext|>": "<eos>"}
PROPERTY = settings(max_examples=100, deadline=None, derandomize=True)
SAMPLES = ["e\u0301", "👩‍🚀", "🙂🙂", "東京", "  ", "\n", "a", "drawer 1"]
TEXTS = st.lists(st.one_of(st.text(max_size=4), st.sampled_from(SAMPLES)), max_size=6)


@st.composite
def pieces_of(draw, text):
    """`text` cut at random bytes, empty pieces between."""
    inner = draw(st.lists(st.integers(0, len(text)), max_size=8))
    cuts = [0, *sorted(inner), len(text)]
    return [text[a:b] for a, b in pairwise(cuts)] if text else []


@st.composite
def two_sides(draw):
    """The same texts and special tokens in two tokenisations."""
    sides = [], []
    for special in draw(st.lists(st.sampled_from([*PAIRS, None]), min_size=1, max_size=4)):
        text = "".join(draw(TEXTS)).encode("utf-8", "ignore")
        for side in sides:
            side += draw(pieces_of(text))
        if special:
            sides[0].append(special)
            sides[1].append(PAIRS[special])
    return sides


def by_chunk(pieces, chunks):
    groups = {}
    for piece, chunk in zip(pieces, chunks, strict=True):
        groups.setdefault(chunk, []).append(piece)
    return groups


def text_of(pieces):
    """Bytes, or the name of a special token and what was lost before it."""
    specials = [p for p in pieces if isinstance(p, str)]
    return specials or b"".join(pieces)


def stops(pieces):
    """After how many bytes or special tokens, seen from the chunk's start, each piece ends."""
    total, result = 0, set()
    for piece in pieces:
        total += 1 if isinstance(piece, str) else len(piece)
        result.add(total)
    return result - {0}


@PROPERTY
@given(sides=two_sides())
def test_align_gives_the_finest_equal_chunks(sides):
    numbers = align(*sides, PAIRS)
    groups = [by_chunk(side, n) for side, n in zip(sides, numbers, strict=True)]
    for side, group, n in zip(sides, groups, numbers, strict=True):
        assert n == sorted(n) or b"" in side
        spelled = [p for p, chunk in zip(side, n, strict=True) if p]
        assert [p for c in sorted(group) if c for p in group[c] if p] == spelled  # all, in order
        assert not any(group.pop(0, []))
    assert list(groups[0]) == list(groups[1]) == list(range(1, len(groups[0]) + 1))
    for chunk, ours in groups[0].items():
        theirs = groups[1][chunk]
        mine = text_of(ours)
        if isinstance(mine, list):
            assert [PAIRS[s] for s in mine] == text_of(theirs)
        else:
            assert mine == text_of(theirs)
        # No byte at which both sides could have ended sooner.
        assert len(stops(ours) & stops(theirs)) == 1


@PROPERTY
@given(sides=two_sides())
def test_align_of_equal_tokens_gives_a_chunk_per_token(sides):
    ours = [p for p in sides[0] if p]
    theirs = [PAIRS.get(p, p) if isinstance(p, str) else p for p in ours]
    assert align(ours, theirs, PAIRS) == (list(range(1, len(ours) + 1)),) * 2


@PROPERTY
@given(sides=two_sides(), data=st.data())
def test_align_names_a_byte_that_differs(sides, data):
    ours, theirs = sides
    at = [i for i, p in enumerate(theirs) if p and isinstance(p, bytes)]
    if not at:
        return
    i = data.draw(st.sampled_from(at))
    theirs[i] = theirs[i][:-1] + bytes([theirs[i][-1] ^ 1])
    start = max((k + 1 for k in range(i) if isinstance(theirs[k], str)), default=0)
    byte = sum(map(len, theirs[start : i + 1])) - 1
    with pytest.raises(UnalignableError, match=f"differ from byte {byte} of"):
        align(ours, theirs, PAIRS)


def test_align_ends_chunks_where_both_sides_end():
    ours = [b"he", b"l", b"lo", b" wor", b"ld", "<|im_end|>"]
    theirs = [b"hel", b"lo", b" ", b"world", "<end_of_turn>"]
    assert align(ours, theirs, PAIRS) == ([1, 1, 2, 3, 3, 4], [1, 2, 3, 3, 4])


def test_align_joins_tokens_that_spell_nothing_with_the_next():
    assert align([b"", b"7", b"x"], [b"7", b"x"], PAIRS) == ([1, 1, 2], [1, 2])
    assert align([b"", "<|im_end|>"], ["<end_of_turn>"], PAIRS) == ([1, 1], [1])
    assert align([b""], [], PAIRS) == ([0], [])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (["<|im_end|>"], ["<eos>"]),  # not its pair
        (["<|other|>"], ["<|other|>"]),  # in no pair
        (["<|other|>"], []),
        (["<|im_end|>"], []),
        ([], ["<end_of_turn>"]),
        (["<|im_end|>"], [b"<end_of_turn>"]),  # the name as text is not the token
        ([b"a", "<|im_end|>"], ["<end_of_turn>"]),
        ([b"a", "<|im_end|>", b"b"], [b"ab", "<end_of_turn>"]),
    ],
)
def test_align_pairs_special_tokens(ours, theirs):
    with pytest.raises(UnalignableError):
        align(ours, theirs, PAIRS)


# As Llama 2's kind with its space after every special token, one of which opens each reply.
HEADED = (
    "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture(scope="module")
def chat_kinds(tokenizers):
    chatml, gemma = (tokenizers[k].chat_template for k in ("chatml", "gemma"))
    im = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    turns = ["<bos>", "<start_of_turn>", "<end_of_turn>"]
    kinds = {
        "qwen": fast(byte_level(im, nfc=True), chatml),
        "qwen, smaller": fast(byte_level(im, 320, nfc=True), chatml),
        "gemma": fast(sentencepiece(turns), gemma),
        "llama2": fast(
            sentencepiece(["<|user|>", "<|assistant|>", "<|end|>"], "normalizer"), HEADED
        ),
    }
    kinds["gemma"].bos_token = "<bos>"
    return kinds


def conversations(kinds, pair, episode):
    messages = episode_messages(episode, guidelines="G")
    return [encoded(kinds[k], messages) for k in pair]


def encoded(tokenizer, messages):
    return chat_tokens(tokenizer).conversations([messages])[0]


@pytest.mark.parametrize(
    "pair",
    [("gemma", "qwen"), ("llama2", "qwen"), ("qwen", "llama2"), ("qwen, smaller", "qwen")],
)
def test_aligner_aligns_replies_of_two_templates(chat_kinds, episodes, pair):
    aligner = Aligner(*(chat_kinds[k] for k in pair))
    ends = [chat_tokens(chat_kinds[k]).end_id for k in pair]
    for episode in episodes:
        both = conversations(chat_kinds, pair, episode)
        found = aligner.conversation(*both)
        assert found.left_out == []
        texts = []
        for kind, end, (ids, mask, _), chunks in zip(
            pair, ends, both, (found.student, found.teacher), strict=True
        ):
            assert [c > 0 for c in chunks] == [m > 0 for m in mask]
            assert sorted(set(chunks) - {0}) == list(range(1, found.count + 1))
            spelled = by_chunk(Speller(chat_kinds[kind]).pieces(ids), chunks)
            name = chat_kinds[kind].convert_ids_to_tokens(end)
            texts.append(
                [
                    "end" if spelled[c] == [name] else b"".join(spelled[c])
                    for c in range(1, found.count + 1)
                ]
            )
        assert texts[0] == texts[1]
        assert texts[0].count("end") == len(episode.turns)
        whole = b"".join(t for t in texts[0] if t != "end").decode()
        assert whole == "".join(f"Thought: {t.thought}\nAction: {t.action}" for t in episode.turns)
        assert found.count < max(sum(mask) for _, mask, _ in both)


def test_aligner_of_one_tokenizer_gives_a_chunk_per_token(chat_kinds, episodes):
    both = conversations(chat_kinds, ("qwen", "qwen"), episodes[0])
    found = Aligner(chat_kinds["qwen"], chat_kinds["qwen"]).conversation(*both)
    assert found.count == sum(both[0][1])
    assert found.student == found.teacher
    assert [c for c in found.student if c] == list(range(1, found.count + 1))


def test_aligner_keeps_the_first_replies_of_a_side_that_was_cut(chat_kinds, episodes):
    pair = ("gemma", "qwen")
    aligner = Aligner(*(chat_kinds[k] for k in pair))
    student, teacher = conversations(chat_kinds, pair, episodes[3])
    whole = aligner.conversation(student, teacher)
    form = RowFormat(len(student.tokens), teacher_length=len(teacher.tokens) - 1)
    shorter = Conversation(student, teacher).fitted(form).teacher
    found = aligner.conversation(student, shorter)
    n = len(shorter.tokens)
    assert found.teacher == whole.teacher[:n]
    assert found.count == max(found.teacher) == max(found.student) < whole.count
    assert found.left_out == []
    assert found.student == [c if c <= found.count else 0 for c in whole.student]


def test_aligner_gives_no_chunk_to_a_reply_that_spells_nothing(chat_kinds):
    """Generation may be cut before a reply's end-of-turn token."""
    llama = chat_kinds["llama2"]
    opens, space, a, end = llama.convert_tokens_to_ids(["<|assistant|>", "▁", "a", "<|end|>"])
    example = Example([opens, space, a, end, opens, space], [0, 1, 1, 1, 0, 1])
    found = Aligner(llama, llama).conversation(example, example)
    assert found.student == found.teacher == [0, 1, 1, 2, 0, 0]
    assert found.count == 2


def test_aligner_omits_a_reply_that_one_side_normalises(chat_kinds):
    """Qwen composes characters (NFC), so it never saw the bytes that Gemma spells."""
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "cafe\u0301"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "look"},
    ]
    student, teacher = (encoded(chat_kinds[k], messages) for k in ("gemma", "qwen"))
    found = Aligner(chat_kinds["gemma"], chat_kinds["qwen"]).conversation(student, teacher)
    assert len(found.left_out) == 1
    assert "differ from byte 3 of" in found.left_out[0]
    replies = [c for c, m in zip(found.student, student[1], strict=True) if m]
    assert replies[0] == 0
    assert replies[-1] == found.count > 1
