"""A bank of scripts as a store: the same is found, counted and dropped."""

import pytest
from made_up import TASKS, WRITER, make_episode
from made_up import store as keep

from duomem_jax import cli
from duomem_jax.base.errors import UserError
from duomem_jax.memory.bank import MemoryBank, bank_content
from duomem_jax.memory.build import build_memories
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.maintain import POLICIES, maintain_store, update_memories
from duomem_jax.memory.maintain.bank import credit, prune
from duomem_jax.memory.operations.records import Add
from duomem_jax.memory.store.entry import Origin
from duomem_jax.memory.store.procedures import credit_episodes, import_bank, stored_scripts
from duomem_jax.memory.store.store import Store

ASKED = [*TASKS, "put a clean cup in fridge.", "examine the pen with the desklamp.", "wash it."]


@pytest.fixture(scope="module")
def folder(episodes_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("bank")
    build_memories(episodes_folder, out, make_embedder(), writer=WRITER)
    return out


@pytest.fixture
def file(folder, tmp_path):
    with Store.open(tmp_path / "s.sqlite", embedder=make_embedder()) as store:
        import_bank(store, folder)
        # What else a store may hold is nothing to a player.
        store.apply([Add("Ann likes clean plates.", "Ann")], Origin("me"))
    return tmp_path / "s.sqlite"


def found(bank, k, excluded=None):
    shown = bank.retrieve_many(ASKED, k, exclude_game_ids=[excluded] * len(ASKED))
    return [[(m.key, m.text, m.game_id) for m in memories] for memories in shown]


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("excluded", [None, "game-00"])
def test_a_store_shows_what_its_bank_shows(folder, file, k, excluded):
    banks = [MemoryBank.load(place, make_embedder()) for place in (folder, file)]
    assert found(banks[0], k, excluded) == found(banks[1], k, excluded)
    assert len(banks[0]) == len(banks[1])


def test_a_store_is_told_apart_by_what_its_scripts_say(folder, file, tmp_path):
    before = bank_content(file)
    with Store.open(file) as store:
        store.apply([Add("Ben likes tea.", "Ben")], Origin("me"))
    assert bank_content(file) == before
    with Store.open(file) as store:
        store.credit([1], True)
    assert bank_content(file) != before
    assert bank_content(folder) != bank_content(file)


def test_uses_are_counted_and_what_misled_is_dropped_as_in_a_bank(folder, file):
    bank = MemoryBank.load(folder, make_embedder())
    shown = [m.id for m in bank.memories[:3]]
    episodes = [
        make_episode(40 + i, success=i % 3 == 0, memory_ids=tuple(shown[: 1 + i % 3]))
        for i in range(9)
    ]
    wanted = prune(credit(bank.memories, episodes))
    with Store.open(file) as store:
        assert credit_episodes(store, episodes) == 3
        maintain_store(store, POLICIES["useless"], store.moment(None))
        kept = stored_scripts(store)
    assert len(wanted) < len(bank.memories)
    assert sorted(kept, key=lambda m: m.id) == sorted(wanted, key=lambda m: m.id)


def test_a_store_without_scripts_is_no_bank(tmp_path):
    with Store.open(tmp_path / "s.sqlite", embedder=make_embedder()) as store:
        store.apply([Add("Ann likes tea.", "Ann")], Origin("me"))
    with pytest.raises(UserError, match="a store without procedural memories"):
        MemoryBank.load(tmp_path / "s.sqlite", make_embedder())


def test_a_player_recalls_from_a_store(tmp_path):
    """From games to a store that a tiny model plays with, all by commands."""

    def run(*args):
        cli.main([str(arg) for arg in args])

    run("generate", tmp_path / "games", "--count", 6, "--seed", 4)
    games = ("--games.path", tmp_path / "games")
    run("play", tmp_path / "won", *games, "--player.name", "e", "--player.model", "expert")
    run("memories", tmp_path / "bank", "--episodes", tmp_path / "won")
    run("memory", "bank", tmp_path / "s.sqlite", tmp_path / "bank")
    player = ("--player.name", "p", "--player.model", "tiny-student", "--how.max-steps", 3)
    for name, memory in (("a", "bank"), ("b", "s.sqlite")):
        run("play", tmp_path / name, *games, *player, "--player.memory", tmp_path / memory)
    from duomem_jax.records.played import read_episodes

    a, b = (list(read_episodes(tmp_path / name)) for name in "ab")
    assert [e.turns for e in a] == [e.turns for e in b]
    run("memory", "credit", tmp_path / "s.sqlite", "--episodes", tmp_path / "b")
    with Store.open(tmp_path / "s.sqlite") as store:
        assert sum(entry.uses for entry in store.entries()) > 0


def test_a_new_bank_is_made_from_a_store_as_from_its_folder(folder, file, tmp_path):
    episodes = [make_episode(60 + i, task=f"put a cup {i} in drawer.") for i in range(3)]
    played = keep(tmp_path / "played", episodes)
    banks = []
    for name, place in (("a", folder), ("b", file)):
        update_memories(place, played, tmp_path / name, make_embedder(), writer=WRITER)
        banks.append(MemoryBank.load(tmp_path / name, make_embedder()).memories)
    by_id = [sorted(memories, key=lambda m: m.id) for memories in banks]
    assert by_id[0] == by_id[1]
    assert len(banks[0]) == len(MemoryBank.load(folder, make_embedder())) + 3
