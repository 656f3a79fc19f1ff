"""Episodes to packed rows to batches, end to end."""

import numpy as np
import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.base.shard import Shard
from duomem_jax.data.examples import View, build_examples
from duomem_jax.data.loader import batches
from duomem_jax.data.sources import Demonstrations, Episodes, Together
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.build import build_memories
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.show import RetrievedGuidelines, guidelines_text
from duomem_jax.memory.write.protocol import RuleWriter
from duomem_jax.models.shipped import model_folder
from duomem_jax.records.chat import assistant, user
from duomem_jax.records.demonstrations import (
    DEMONSTRATION_LAYOUT,
    Demonstration,
    demonstration_to_record,
)
from duomem_jax.records.played import read_episodes, write_episodes
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.records.store.spec import DEMONSTRATIONS
from duomem_jax.records.store.write import DatasetSpec, write_dataset
from duomem_jax.text.spelling import Speller
from duomem_jax.text.tokenizer import chat_tokens, load_tokenizer
from duomem_jax.text.turns import episode_messages

LENGTH = 256
CHATS = [[user(f"What is {i}?"), assistant("A number.")] for i in range(3)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tokenizers, episodes):
    root = tmp_path_factory.mktemp("pipeline")
    tokenizers["chatml"].save_pretrained(root / "tokenizer")
    by_name = {(e.game_id, e.seed): e for e in episodes}
    report = write_episodes(
        root / "episodes",
        list(by_name),
        lambda todo: (by_name[w] for w in todo),
        source={"games": "made up"},
        config={"player": "expert"},
        seed=0,
    )
    assert (report.status, report.records) == ("written", len(episodes))
    return root


def test_episodes_come_back(folders, episodes):
    stored = read_episodes(folders / "episodes")
    assert sorted(stored, key=lambda e: (e.game_id, e.seed)) == sorted(
        episodes, key=lambda e: (e.game_id, e.seed)
    )


def test_rows_hold_the_winning_conversations(folders, episodes):
    tokenizer = load_tokenizer(folders / "tokenizer")
    stage = Episodes(folders / "episodes"), folders / "examples", View(tokenizer, LENGTH)
    report = build_examples(*stage)
    expected = {}
    for e in episodes:
        if e.success:
            ((ids, mask, _),) = chat_tokens(tokenizer).conversations([episode_messages(e)])
            expected[tuple(ids)] = mask
    whole = {ids: m for ids, m in expected.items() if len(ids) <= LENGTH}
    found = {}
    for row in read_dataset(folders / "examples", "train"):
        for segment in range(1, row["segment_ids"].max() + 1):
            at = row["segment_ids"] == segment
            found[tuple(row["tokens"][at].tolist())] = row["loss_mask"][at].tolist()
        assert not row["loss_mask"][row["segment_ids"] == 0].any()
    assert whole.items() <= found.items()
    assert len(found) == report.counts["examples"] == len(expected)
    assert report.counts["cut_to_fit"] == len(expected) - len(whole)
    assert report.counts["failed"] == sum(not e.success for e in episodes)
    again = build_examples(*stage)
    assert again.status == "already complete"


def test_batches_have_their_types_and_positions(folders):
    out = folders / "examples-loader"
    view = View(load_tokenizer(folders / "tokenizer"), LENGTH)
    build_examples(Episodes(folders / "episodes"), out, view)
    it = batches(out, global_batch=4, seed=1)
    batch = next(it)
    it.close()
    tokens = batch.student
    kinds = [tokens.ids_BT, tokens.segments_BT, tokens.positions_BT, tokens.reply_BT]
    assert [x.dtype for x in kinds] == [np.int32, np.int32, np.int32, bool]
    assert {x.shape for x in kinds} == {(4, LENGTH)}
    for row in range(4):
        for segment in range(1, tokens.segments_BT[row].max() + 1):
            at = tokens.segments_BT[row] == segment
            np.testing.assert_array_equal(tokens.positions_BT[row][at], np.arange(at.sum()))


def test_examples_are_made_with_memories_of_other_games(folders, episodes, tmp_path):
    embedder = make_embedder()

    def write(episodes):
        return (f"solve it as in {e.game_id}" for e in episodes)

    bank = tmp_path / "bank"
    build_memories(folders / "episodes", bank, embedder, writer=RuleWriter("test", write))
    bank = MemoryBank.load(bank, embedder)
    stage = Episodes(folders / "episodes"), tmp_path / "examples"
    tokenizer = load_tokenizer(folders / "tokenizer")
    guidelines = RetrievedGuidelines(bank, k=1, share=1.0, seed=0)
    report = build_examples(*stage, View(tokenizer, 1024, guidelines=guidelines))
    decode = tokenizer.decode
    text = "".join(decode(row["tokens"]) for row in read_dataset(tmp_path / "examples", "train"))
    won = [e for e in episodes if e.success]
    assert report.counts["examples"] == len(won)
    for e in won:
        shown = guidelines_text(bank.retrieve(e.task, 1, exclude_game_id=e.game_id))
        assert f"{shown}\n\nYou are in room" in text
        assert e.game_id not in shown
    other = RetrievedGuidelines(bank, k=2, share=1.0, seed=0)
    with pytest.raises(UserError, match=r"config\.guidelines\.k=1, not 2"):
        build_examples(*stage, View(tokenizer, 1024, guidelines=other))


def test_a_teacher_may_be_shown_more_than_the_student(folders, episodes, tmp_path):
    """Its view differs by the guidelines alone, and holds the same replies in the same order."""
    embedder = make_embedder()

    def write(episodes):
        return (f"solve it as in {e.game_id}" for e in episodes)

    build_memories(
        folders / "episodes", tmp_path / "bank", embedder, writer=RuleWriter("test", write)
    )
    bank = MemoryBank.load(tmp_path / "bank", embedder)
    tokenizer = load_tokenizer(folders / "tokenizer")
    guidelines = RetrievedGuidelines(bank, k=1, share=1.0, seed=0)
    teacher = View(tokenizer, 1024, guidelines=guidelines)
    build_examples(Episodes(folders / "episodes"), tmp_path / "out", View(tokenizer, 512), teacher)
    for row in read_dataset(tmp_path / "out", "train"):
        said = row["tokens"][row["loss_mask"] > 0]
        np.testing.assert_array_equal(said, row["teacher_tokens"][row["teacher_loss_mask"] > 0])
        for segment in range(1, row["segment_ids"].max() + 1):
            mine = tokenizer.decode(row["tokens"][row["segment_ids"] == segment])
            theirs = tokenizer.decode(row["teacher_tokens"][row["teacher_segment_ids"] == segment])
            assert "solve it as in" not in mine
            assert "solve it as in" in theirs
            assert theirs.endswith(mine[mine.index("You are in room") :])


def test_a_teacher_may_have_another_tokenizer(folders, episodes, tmp_path):
    """Chunks of the same number spell the same text, and all of every reply is in chunks."""
    tokenizer = load_tokenizer(folders / "tokenizer")
    other = load_tokenizer(model_folder("tiny-student"))
    student, teacher = View(tokenizer, 512), View(other, 512)
    report = build_examples(Episodes(folders / "episodes"), tmp_path / "out", student, teacher)
    assert report.counts["replies_left_out"] == 0
    spell, teach = Speller(tokenizer), Speller(other)
    rows = list(read_dataset(tmp_path / "out", "train"))
    assert len(rows) > 1
    for row in rows:
        count = row["chunks"].max()
        assert count == row["teacher_chunks"].max() > 10
        for chunk in range(1, count + 1):
            mine = spell.pieces(row["tokens"][row["chunks"] == chunk].tolist(), before=0)
            theirs = teach.pieces(
                row["teacher_tokens"][row["teacher_chunks"] == chunk].tolist(), before=0
            )
            if isinstance(mine[0], bytes):
                assert b"".join(mine) == b"".join(theirs)
            else:
                assert len(mine) == len(theirs) == 1
        np.testing.assert_array_equal(row["chunks"] > 0, row["loss_mask"] > 0)


def test_what_became_of_the_episodes_is_said(folders, episodes, tmp_path):
    tokenizer = load_tokenizer(folders / "tokenizer")
    won = sum(e.success for e in episodes)
    report = build_examples(
        Episodes(folders / "episodes"), tmp_path / "rows", View(tokenizer, 160, made_for=40)
    )
    c = report.counts
    assert 0 < c["cut_to_fit"] < won
    assert str(report).startswith(f"{tmp_path / 'rows'}: {report.records} rows written (")
    for part in (
        f"{c['examples']} of {len(episodes)} episodes",
        f"{c['cut_to_fit']} cut to fit",
        f"{len(episodes) - won} not won",
        f"{c['examples']} longer than the model was made for",
    ):
        assert part in str(report)


def test_an_empty_result_is_refused_and_a_shard_may_be_empty(folders, episodes, tmp_path):
    tokenizer = load_tokenizer(folders / "tokenizer")
    tiny = Episodes(folders / "episodes"), tmp_path / "tiny", View(tokenizer, 8)
    for _ in range(2):  # also where the folder is complete by now
        with pytest.raises(UserError, match=r"no row of 8 tokens.* too long.*give longer rows"):
            build_examples(*tiny)
    shared = Episodes(folders / "episodes"), tmp_path / "shared", View(tokenizer, LENGTH)
    assert build_examples(*shared, shard=Shard(1, 2)).status == "waiting"  # it has no block
    assert build_examples(*shared, shard=Shard(0, 2)).status == "written"


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_blocks_of_episodes_and_demonstrations_hold_each_once(folders, tmp_path, step):
    shown = [Demonstration(f"d{i}", "read", f"d{i}", chat) for i, chat in enumerate(CHATS)]
    by_id = {d.id: demonstration_to_record(d) for d in shown}
    spec = DatasetSpec(DEMONSTRATIONS, DEMONSTRATION_LAYOUT)
    write_dataset(
        tmp_path / "shown", list(by_id), lambda keys: ((k, [by_id[k]], {}) for k in keys), spec
    )
    episodes = Episodes(folders / "episodes")
    both = Together(episodes, Demonstrations((str(tmp_path / "shown"),)))
    names = [both.name(item) for first in range(step) for item in both.block(first, step)]
    assert len(names) == len(both) == len(episodes) + len(CHATS)
    assert {*names} == {
        *map(episodes.name, episodes.block(0, 1)),
        "demonstration d0",
        "demonstration d1",
        "demonstration d2",
    }
    items = both.block(0, 1)
    view = View(load_tokenizer(folders / "tokenizer"), LENGTH, "Play.")
    chats = both.chats(items, view)
    assert chats[-len(CHATS) :] == CHATS
    assert all(chat[0] == {"role": "system", "content": "Play."} for chat in chats[: len(episodes)])
