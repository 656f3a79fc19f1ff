"""Packing keeps every token once, in its segment, and fills rows."""

import random

import jax
import numpy as np
import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.data.pack import Conversation, pack, pack_examples
from duomem_jax.data.rows import MAX_SEGMENTS, RowFormat, batch_of, positions_in_segments
from duomem_jax.text.encoded import Example

T = 64
FORM = RowFormat(T)


def make_examples(n, longest=T, seed=0):
    rng = random.Random(seed)
    out = []
    for i in range(n):
        length = rng.randrange(2, longest + 1)
        mask = [rng.randrange(2) for _ in range(length)]
        out.append(Conversation(Example([1000 * i + j for j in range(length)], mask)))
    return out


def unpack(sides):
    """(tokens, mask) of every segment of one model's sides of rows."""
    for side in sides:
        for segment in range(1, side.segments_BT.max() + 1):
            (at,) = np.nonzero(side.segments_BT == segment)
            assert (np.diff(at) == 1).all()
            yield side.ids_BT[at].tolist(), side.reply_BT[at].tolist()


def test_every_example_lies_whole_in_one_segment():
    examples = make_examples(300)
    rows = [row.student for row in pack(examples, FORM)]
    expected = [(c.student.tokens, [0, *c.student.loss_mask[1:]]) for c in examples]
    assert sorted(unpack(rows)) == sorted(expected)
    for row in rows:
        padding = row.segments_BT == 0
        assert not row.ids_BT[padding].any()
        assert not row.reply_BT[padding].any()


def test_a_row_comes_back_from_its_record():
    conversations = two_views(40)
    form = RowFormat(T, teacher_length=2 * T)
    for row in pack(conversations, form):
        record = form.record(row)
        assert {n: (x.dtype.name, x.shape) for n, x in record.items()} == form.layout()
        jax.tree.map(np.testing.assert_array_equal, batch_of(record), row)


def test_rows_are_full():
    examples = make_examples(2000)
    tokens = sum(len(c.student.tokens) for c in examples)
    rows = list(pack(examples, FORM))
    # Lengths uniform over 2..T: the known asymptotic waste of first-fit decreasing is nil.
    assert tokens / (T * len(rows)) > 0.98
    # No two rows could have been one.
    used = sorted(int((row.student.segments_BT > 0).sum()) for row in rows)
    assert used[0] + used[1] > T


def test_packing_is_deterministic():
    examples = make_examples(500)
    a, b = (list(pack(iter(examples), FORM)) for _ in range(2))
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x.student.ids_BT, y.student.ids_BT)


def test_segment_ids_stay_within_a_byte():
    rows = list(pack([Conversation(Example([1], [1]))] * 600, RowFormat(1024)))
    assert [int(r.student.segments_BT.max()) for r in rows] == [MAX_SEGMENTS, MAX_SEGMENTS, 90]


def test_too_long_an_example_is_an_error():
    with pytest.raises(ValueError, match=r"\[65\] tokens"):
        list(pack([Conversation(Example([0] * 65, [1] * 65))], FORM))


@pytest.mark.parametrize(
    ("length", "expected"), [(9, 9), (8, 7), (7, 7), (6, 4), (4, 4), (3, None), (1, None)]
)
def test_examples_are_cut_after_a_whole_reply(length, expected):
    example = Example(list(range(9)), [0, 0, 1, 1, 0, 1, 1, 0, 1])
    fitted = Conversation(example).fitted(RowFormat(length))
    assert (fitted and len(fitted.student.tokens)) == expected
    assert not fitted or fitted == Conversation(example.upto(expected))


def two_views(n, seed=1):
    """Conversations whose second view has a longer prompt; replies are marked by their ids."""
    rng, out = random.Random(seed), []
    for i in range(n):
        short, long = Example([], []), Example([], [])
        for turn in range(rng.randrange(1, 5)):
            heard, said = rng.randrange(1, 6), rng.randrange(1, 4)
            more = rng.randrange(20) if turn == 0 else 0
            for view, prompt in ((short, heard), (long, heard + more)):
                view.tokens.extend([0] * prompt + [1000 * i + 10 * turn + j for j in range(said)])
                view.loss_mask.extend([0] * prompt + [1] * said)
        out.append(Conversation(short, long))
    return out


def replies(tokens, mask):
    return [t for t, m in zip(tokens, mask, strict=True) if m]


def test_both_views_of_a_conversation_lie_in_one_segment_of_one_row():
    rows, counts = pack_examples(two_views(200), RowFormat(T, T))
    assert counts["dropped_too_long"] == 0
    student, teacher = list(unpack(r.student for r in rows)), list(unpack(r.teacher for r in rows))
    assert len(student) == 200
    for mine, theirs in zip(student, teacher, strict=True):
        assert replies(*mine) == replies(*theirs)
        assert len(theirs[0]) >= len(mine[0])


def test_chunks_are_numbered_through_the_row():
    """On both sides alike, though one side of a conversation may have been cut."""
    mine = Example([5, 6, 7, 8], [0, 1, 1, 1], [0, 1, 1, 2])
    theirs = Example([5, 5, 9, 8], [0, 0, 1, 1], [0, 0, 1, 2])
    short = Example([5, 9], [0, 1], [0, 1])
    conversations = [Conversation(mine, other) for other in (theirs, short, theirs)]
    (row,) = pack(conversations, RowFormat(16, 16, chunks=True))
    numbers = [0, 1, 1, 2, 0, 3, 3, 4, 0, 5, 5, 6]
    assert row.student.chunks_BT[:12].tolist() == numbers
    side = row.teacher
    by_segment = [side.chunks_BT[side.segments_BT == s].tolist() for s in (1, 2, 3)]
    assert by_segment == [[0, 0, 1, 2], [0, 3], [0, 0, 5, 6]]


def test_every_view_is_cut_after_the_same_reply():
    conversations = two_views(200)
    rows, counts = pack_examples(conversations, RowFormat(30, 24))
    assert counts["cut_to_fit"] > 0
    assert counts["dropped_too_long"] > 0
    whole = {tuple(replies(*c.student[:2])) for c in conversations}
    for mine, theirs in zip(
        unpack(r.student for r in rows), unpack(r.teacher for r in rows), strict=True
    ):
        said = tuple(replies(*mine))
        assert said == tuple(replies(*theirs))
        assert any(said == w[: len(said)] for w in whole)


def test_positions_restart_in_each_segment():
    ids = np.array([[1, 1, 1, 2, 2, 3, 0, 0], [1, 2, 3, 4, 4, 4, 4, 4]], np.uint8)
    expected = [[0, 1, 2, 0, 1, 0, 0, 1], [0, 0, 0, 0, 1, 2, 3, 4]]
    positions = positions_in_segments(ids)
    assert positions.dtype == np.int32
    np.testing.assert_array_equal(positions, expected)


def test_rows_whose_chunks_cannot_be_numbered_are_refused():
    RowFormat(2**16, 2**16)
    with pytest.raises(UserError, match="rows of 65536 tokens for two tokenizers; give at most"):
        RowFormat(1024, 2**16, chunks=True)
