"""A bank of scripts in a store."""

from dataclasses import replace

from made_up import make_episode

from duomem_jax.memory.build import write_bank
from duomem_jax.memory.embed.hashing import HashingEmbedder
from duomem_jax.memory.store.procedures import import_bank
from duomem_jax.records.memories import make_memory


def test_a_bank_becomes_memories_found_by_their_keys(store, tmp_path):
    first, second = (
        make_memory(make_episode(0), "go to sink 1"),
        make_memory(make_episode(1), "look"),
    )
    again = replace(first, id="other", game_id="another game", uses=3, successes=1)
    bank = [replace(first, uses=2, successes=2), second, again]
    write_bank(tmp_path / "bank", bank, HashingEmbedder(), source={}, config={})
    assert [a.status for a in import_bank(store, tmp_path / "bank", who="me")] == ["added"] * 2
    (entry,) = [e for e in store.entries(who="me") if e.text == "go to sink 1"]
    assert (entry.text, entry.key, entry.kind) == ("go to sink 1", first.key, "procedure")
    assert (entry.evidence, entry.writer) == ((first.game_id, "another game"), first.player)
    assert (entry.uses, entry.successes, entry.note) == (5, 3, first.id)
    assert entry in [found.entry for found in store.recall(first.key)]
    assert [a.status for a in import_bank(store, tmp_path / "bank", who="me")] == ["kept"] * 2
    assert entry in store.entries(who="me")
