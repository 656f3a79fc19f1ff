"""Moves without a fact: small talk, and what is wished, joked, dreamt or quoted."""

from duomem_jax.worlds.dialogues.generate.scene import Scene, words_of

# Who says "I can't play a note" or "my landlord would never allow it" is to have none.
_NONE_YET = ("instrument", "pet")


def small_talk(scene: Scene) -> bool:
    """About the weather, and so on."""
    speaker = scene.draw.pick(scene.cast.speakers)
    turns = scene.fresh(scene.tables["chat"]["small"]["turns"])
    scene.exchange(speaker, turns, {})
    return True


def unreal(scene: Scene) -> bool:
    """Something that is not so."""
    person = scene.draw.pick(scene.cast.speakers)
    table = scene.tables["chat"]["unreal"]
    slot = scene.draw.pick(list(table))
    if slot in _NONE_YET and scene.timeline.of(person, slot):
        return False
    row = scene.cast.take(slot)
    if row is None:
        return False
    said = scene.fresh(table[slot]["turns"])
    turn, *_ = scene.exchange(person, said, words_of(person, row))
    scene.unreal.append((person, slot, row["v"], turn))
    return True
