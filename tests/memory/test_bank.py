"""Building, finding and keeping memories."""

import json

import numpy as np
import pytest
from made_up import TASKS, WRITER, make_episode, store, write_script

from duomem_jax.base.errors import UserError
from duomem_jax.base.shard import Shard
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.build import build_memories
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.maintain.bank import add, credit, prune, update_memories
from duomem_jax.memory.show import RetrievedGuidelines, guidelines_text
from duomem_jax.memory.write.protocol import RuleWriter
from duomem_jax.records.memories import make_memory
from duomem_jax.records.played import read_episodes


def build(episodes_folder, out, embedder=None, **kw):
    kw = {"writer": WRITER} | kw
    return build_memories(episodes_folder, out, embedder or make_embedder(), **kw)


@pytest.fixture(scope="module")
def bank_folder(episodes_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bank")
    assert build(episodes_folder, folder).status == "written"
    return folder


@pytest.fixture
def bank(bank_folder):
    return MemoryBank.load(bank_folder, make_embedder())


def files(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_bank_holds_one_memory_per_won_episode(bank, episodes_folder):
    won = [e for e in read_episodes(episodes_folder) if e.success]
    assert len(bank) == len(won) == 15
    for memory, episode in zip(bank.memories, won, strict=True):
        assert memory.game_id == episode.game_id
        assert (memory.key, memory.text) == (episode.task, write_script(episode))
        assert (memory.player, memory.uses, memory.successes) == ("teacher", 0, 0)
    assert len({m.id for m in bank.memories}) == 15


def test_a_bank_of_an_earlier_version_is_refused(bank_folder, tmp_path):
    for name, data in files(bank_folder).items():
        (tmp_path / name).write_bytes(data)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    del manifest["splits"]["train"]["config"]["format"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="earlier version of duomem_jax; write it again"):
        MemoryBank.load(tmp_path, make_embedder())


def test_retrieval_is_by_task_without_repeats(bank):
    found = bank.retrieve("put a hot mug in cabinet.", 10)
    assert found[0].key == "put a hot mug in cabinet."
    # Two of the five tasks word one goal.
    assert len(found) == len({m.key for m in found}) == 4
    clean = [m.key for m in bank.retrieve(TASKS[0], 2)]
    assert clean[0] == TASKS[0]
    assert TASKS[1] not in clean
    assert [m.id for m in bank.retrieve(TASKS[0], 1)] == [bank.retrieve(TASKS[0], 2)[0].id]
    assert bank.retrieve(TASKS[0], 0) == []


def test_own_game_is_never_retrieved(bank):
    for memory in bank.memories:
        found = bank.retrieve(memory.key, 4, exclude_game_id=memory.game_id)
        assert len(found) == 4
        assert memory.game_id not in {m.game_id for m in found}


def test_key_of_the_own_game_only_yields_to_the_next_best():
    memories = [make_memory(make_episode(i), f"script {i}") for i in (0, 1, 2)]
    bank = MemoryBank(memories, make_embedder())
    found = bank.retrieve(TASKS[0], 2, exclude_game_id="game-00")
    assert [m.game_id for m in found] == ["game-01", "game-02"]


def test_same_script_is_shown_once():
    memories = [make_memory(make_episode(i), "1. Find it.") for i in range(5)]
    assert len(MemoryBank(memories, make_embedder()).retrieve(TASKS[0], 5)) == 1


def test_most_successful_memory_stands_for_its_key():
    memories = [make_memory(make_episode(i), f"s {i}") for i in (0, 5, 10)]
    shown = [make_episode(99, success=s, memory_ids=(memories[i].id,)) for i, s in ((0, 0), (1, 1))]
    bank = MemoryBank(credit(memories, shown), make_embedder())
    assert bank.retrieve(TASKS[0], 1)[0].game_id == "game-05"
    assert bank.retrieve(TASKS[0], 1, exclude_game_id="game-05")[0].game_id == "game-10"


def test_many_tasks_at_once_equal_one_by_one(bank):
    games = [m.game_id for m in bank.memories]
    tasks = [m.key for m in bank.memories]
    many = bank.retrieve_many(tasks, 3, exclude_game_ids=games)
    one = [bank.retrieve(t, 3, exclude_game_id=g) for t, g in zip(tasks, games, strict=True)]
    assert many == one


def test_empty_bank_retrieves_nothing():
    assert MemoryBank([], make_embedder()).retrieve("x", 3) == []


def test_interrupted_and_sharded_builds_give_the_same_bank(episodes_folder, bank_folder, tmp_path):
    class Dying:
        name = make_embedder().name
        same = 0.9

        def embed(self, texts):
            raise UserError("the server went away")

    written = []

    def writes_nine(episode):
        written.append(episode)
        if len(written) > 9:
            raise KeyboardInterrupt
        return write_script(episode)

    def dying(episodes):
        return map(writes_nine, episodes)

    with pytest.raises(KeyboardInterrupt):
        build(episodes_folder, tmp_path, writer=RuleWriter("test", dying))
    with pytest.raises(UserError, match="went away"):
        build(episodes_folder, tmp_path, Dying())
    with pytest.raises(UserError, match="not finished"):
        MemoryBank.load(tmp_path, make_embedder())
    assert (
        build(episodes_folder, tmp_path, writer=RuleWriter("test", None)).status
        == "already complete"
    )
    assert files(tmp_path) == files(bank_folder)
    assert build(episodes_folder, tmp_path / "s", shard=Shard(1, 2)).status == "waiting"
    assert build(episodes_folder, tmp_path / "s", shard=Shard(0, 2)).status == "written"
    sharded = MemoryBank.load(tmp_path / "s", make_embedder())
    whole = MemoryBank.load(bank_folder, make_embedder())
    assert sorted(sharded.memories, key=lambda m: m.id) == sorted(
        whole.memories, key=lambda m: m.id
    )
    assert sharded.retrieve(TASKS[2], 3) == whole.retrieve(TASKS[2], 3)


def test_embedding_resumes_at_the_block_where_it_stopped(episodes_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("duomem_jax.memory.vectors.BLOCK", 2)
    inner, asked = make_embedder(), []

    class Counting:
        name, same = inner.name, inner.same

        def embed(self, texts):
            asked.append(texts)
            if len(asked) == 2:
                raise UserError("the server went away")
            return inner.embed(texts)

    with pytest.raises(UserError, match="went away"):
        build(episodes_folder, tmp_path, Counting())
    build(episodes_folder, tmp_path, Counting())
    keys = sorted(TASKS)
    assert asked == [keys[:2], keys[2:4], keys[2:4], keys[4:]]
    stored = np.load(tmp_path / "embeddings.npy")
    np.testing.assert_allclose(stored, inner.embed(keys), atol=1e-3)


def test_an_embedder_that_changes_its_width_is_refused(episodes_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("duomem_jax.memory.vectors.BLOCK", 2)

    class Growing:
        name, same, width = "growing", 1.0, 4

        def embed(self, texts):
            self.width += 4
            return np.ones((len(texts), self.width), np.float32)

    with pytest.raises(UserError, match=r"vectors of 8 and 12 and 16 numbers, so the embedder has"):
        build(episodes_folder, tmp_path, Growing())
    assert not (tmp_path / "embeddings.npy").exists()


def test_another_embedder_is_refused(bank_folder, episodes_folder):
    other = make_embedder("hashing:64")
    with pytest.raises(UserError, match=r"'hashing-v1:2048', not 'hashing-v1:64'"):
        MemoryBank.load(bank_folder, other)
    with pytest.raises(UserError, match=r"'hashing-v1:2048', not 'hashing-v1:64'"):
        build(episodes_folder, bank_folder, other)


@pytest.mark.parametrize("damage", ["cut", "pickle", "facts", "gone"])
def test_damaged_matrix_is_refused(bank_folder, tmp_path, damage):
    for name, data in files(bank_folder).items():
        (tmp_path / name).write_bytes(data)
    path = tmp_path / "embeddings.npy"
    match damage:
        case "cut":
            path.write_bytes(path.read_bytes()[:-9])
        case "pickle":
            np.save(path, np.array([{}], dtype=object), allow_pickle=True)
        case "facts":
            (tmp_path / "embeddings.json").write_text('{"rows": 3')
        case "gone":
            path.unlink()
    with pytest.raises(UserError, match="duomem memories"):
        MemoryBank.load(tmp_path, make_embedder())


def test_no_won_episode_is_a_sentence(tmp_path):
    lost = store(tmp_path / "e", [make_episode(i, success=False) for i in range(3)])
    with pytest.raises(UserError, match="no episode was won"):
        build(lost, tmp_path / "bank")


def test_guidelines_follow_memp(bank):
    found = bank.retrieve(TASKS[2], 2)
    header, _, listing = guidelines_text(found).partition("\n")
    assert header == "Here are some guidelines of how to solve the similar task:"
    assert json.loads(listing) == [{"task_name": m.key, "guidelines": m.text} for m in found]
    assert guidelines_text([]) == ""


def test_training_guidelines_fall_to_a_share_of_the_episodes(bank):
    episodes = [make_episode(i) for i in range(400)]
    some = RetrievedGuidelines(bank, k=2, share=0.25, seed=1)
    texts = some(episodes)
    assert 70 < sum(map(bool, texts)) < 130
    assert [some([e])[0] for e in episodes] == texts
    for share, expected in ((0.0, 0), (1.0, 400)):
        guidelines = RetrievedGuidelines(bank, k=2, share=share, seed=1)
        assert sum(map(bool, guidelines(episodes))) == expected
    for episode, text in zip(episodes[:20], guidelines(episodes[:20]), strict=True):
        assert f"in {episode.game_id}." not in text


def test_bank_is_credited_pruned_and_extended(bank, bank_folder, tmp_path):
    good, bad, fresh = bank.memories[:3]
    episodes = [
        make_episode(30 + i, success=i != 2, memory_ids=(good.id, good.id)) for i in range(3)
    ]
    episodes += [
        make_episode(40 + i, success=i == 0, memory_ids=(bad.id, "unknown")) for i in range(3)
    ]
    credited = credit(bank.memories, episodes)
    assert [(m.uses, m.successes) for m in credited[:3]] == [(3, 2), (3, 1), (0, 0)]
    assert [m.id for m in prune(credited)] == [m.id for m in bank.memories if m.id != bad.id]
    longer = add([fresh], [*episodes, *episodes], WRITER)
    assert len(longer) == 1 + 3
    folder = store(tmp_path / "episodes", episodes)
    report = update_memories(bank_folder, folder, tmp_path / "new", make_embedder(), writer=WRITER)
    new = MemoryBank.load(tmp_path / "new", make_embedder())
    assert report.records == len(new) == 15 - 1 + 3
    assert {m.id: m.uses for m in new.memories}[good.id] == 3
    again = update_memories(bank_folder, folder, tmp_path / "new", make_embedder(), writer=WRITER)
    assert again.status == "already complete"
