"""Episodes to packed rows to batches, end to end."""

import numpy as np
import pytest

from duomem_jax.data.chat import encode_chat, episode_messages
from duomem_jax.data.examples import build_examples
from duomem_jax.data.loader import batches
from duomem_jax.data.play import read_episodes, write_episodes
from duomem_jax.data.reader import read_dataset
from duomem_jax.data.tokens import load_tokenizer
from duomem_jax.errors import UserError
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.build import build_memories
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.guidelines import RetrievedGuidelines, guidelines_text

LENGTH = 256


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tokenizers, episodes):
    root = tmp_path_factory.mktemp("pipeline")
    tokenizers["chatml"].save_pretrained(root / "tokenizer")
    by_name = {(e.game_id, e.seed): e for e in episodes}
    report = write_episodes(
        root / "episodes",
        list(by_name),
        lambda todo: (by_name[w] for w in todo),
        split="train",
        source={"games": "made up"},
        config={"player": "expert"},
        seed=0,
    )
    assert (report.status, report.records) == ("written", len(episodes))
    return root


def test_episodes_come_back(folders, episodes):
    stored = read_episodes(folders / "episodes", "train")
    assert sorted(stored, key=lambda e: (e.game_id, e.seed)) == sorted(
        episodes, key=lambda e: (e.game_id, e.seed)
    )


def test_rows_hold_the_winning_conversations(folders, episodes):
    stage = folders / "episodes", folders / "tokenizer", folders / "examples"
    report = build_examples(*stage, length=LENGTH)
    tokenizer = load_tokenizer(folders / "tokenizer")
    expected = {}
    for e in episodes:
        if e.success:
            ids, mask = encode_chat(tokenizer, episode_messages(e))
            expected[tuple(ids)] = mask
    whole = {ids: m for ids, m in expected.items() if len(ids) <= LENGTH}
    found = {}
    for row in read_dataset(stage[-1], "train"):
        for segment in range(1, row["segment_ids"].max() + 1):
            at = row["segment_ids"] == segment
            found[tuple(row["tokens"][at].tolist())] = row["loss_mask"][at].tolist()
        assert not row["loss_mask"][row["segment_ids"] == 0].any()
    assert whole.items() <= found.items()
    assert len(found) == report.counts["examples"] == len(expected)
    assert report.counts["cut_to_fit"] == len(expected) - len(whole)
    assert report.counts["failed"] == sum(not e.success for e in episodes)
    again = build_examples(*stage, length=LENGTH)
    assert again.status == "already complete"


def test_batches_have_their_types_and_positions(folders):
    out = folders / "examples-loader"
    build_examples(folders / "episodes", folders / "tokenizer", out, length=LENGTH)
    it = batches(out, "train", global_batch=4, seed=1)
    batch = next(it)
    it.close()
    assert {k: (v.dtype, v.shape) for k, v in batch.items()} == {
        "tokens": (np.int32, (4, LENGTH)),
        "segment_ids": (np.int32, (4, LENGTH)),
        "positions": (np.int32, (4, LENGTH)),
        "loss_mask": (np.float32, (4, LENGTH)),
    }
    for row in range(4):
        for segment in range(1, batch["segment_ids"][row].max() + 1):
            at = batch["segment_ids"][row] == segment
            np.testing.assert_array_equal(batch["positions"][row][at], np.arange(at.sum()))


def test_examples_are_made_with_memories_of_other_games(folders, episodes, tmp_path):
    embedder = make_embedder()

    def write(episodes):
        return (f"solve it as in {e.game_id}" for e in episodes)

    bank = tmp_path / "bank"
    build_memories(folders / "episodes", bank, embedder, write=write, writer="test")
    bank = MemoryBank.load(bank, embedder)
    source = (folders / "episodes", folders / "tokenizer", tmp_path / "examples")
    guidelines = RetrievedGuidelines(bank, k=1, share=1.0, seed=0)
    report = build_examples(*source, length=1024, guidelines=guidelines)
    decode = load_tokenizer(folders / "tokenizer").decode
    text = "".join(decode(row["tokens"]) for row in read_dataset(tmp_path / "examples", "train"))
    won = [e for e in episodes if e.success]
    assert report.counts["examples"] == len(won)
    for e in won:
        shown = guidelines_text(bank.retrieve(e.task, 1, exclude_game_id=e.game_id))
        assert f"{shown}\n\nYou are in room" in text
        assert e.game_id not in shown
    other = RetrievedGuidelines(bank, k=2, share=1.0, seed=0)
    with pytest.raises(UserError, match=r"config\.guidelines\.k=1, not 2"):
        build_examples(*source, length=1024, guidelines=other)
