"""Dialogues that a command wrote: the same however they were made, and never others."""

import pytest

from duomem_jax import stages
from duomem_jax.base.errors import UserError
from duomem_jax.base.shard import Shard
from duomem_jax.records.dialogues import DIALOGUE_LAYOUT, Dialogue
from duomem_jax.records.store.spec import DIALOGUES, DatasetSpec
from duomem_jax.records.store.write import write_dataset
from duomem_jax.records.talked import read_dialogues
from duomem_jax.worlds.dialogues import Size, generate_dialogue

SMALL = Size(sessions=2, turns=8, questions=8)
COUNT = 45  # more than two units


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("dialogues") / "whole"
    assert stages.dialogues(str(out), COUNT, 2, size=SMALL).records == COUNT
    return out


def test_they_are_read_as_they_were_generated(whole):
    stored = read_dialogues(whole)
    assert list(stored) == [generate_dialogue(2, i, SMALL) for i in range(COUNT)]
    assert isinstance(stored[-1], Dialogue)
    assert stored[1:3] == [stored[1], stored[2]]


def test_held_out_ones_are_of_the_other_side(tmp_path):
    stages.dialogues(str(tmp_path / "out"), 3, 2, held_out=True, size=SMALL)
    assert list(read_dialogues(tmp_path / "out")) == [
        generate_dialogue(2, i, SMALL, held_out=True) for i in range(3)
    ]


def test_retold_ones_contradict_their_own_or_know_no_name_of_them(whole, tmp_path):
    """Of the same people in the same sentences with other values; or of nobody."""
    stages.dialogues(str(tmp_path / "other"), COUNT, 2, size=SMALL, values="other")
    stages.dialogues(str(tmp_path / "made-up"), COUNT, 2, size=SMALL, values="made-up")
    own, other, made_up = (
        sorted(read_dialogues(f), key=lambda d: d.id)
        for f in (whole, tmp_path / "other", tmp_path / "made-up")
    )
    changed = same = 0
    for a, b, c in zip(own, other, made_up, strict=True):
        assert (b.id, c.id) == (f"{a.id}-other", f"{a.id}-made-up")
        assert a.speakers == b.speakers
        assert not {*a.speakers} & {*c.speakers}
        for asked, again in zip(a.questions, b.questions, strict=True):
            assert asked.evidence == again.evidence
            changed += asked.answer != again.answer
            same += asked.answer == again.answer
            if again.answer and asked.answer != again.answer:
                said = " ".join(turn.said for _, turn in b.turns())
                assert again.answer in said
                assert asked.answer not in said
    assert changed > 30
    assert same > 30


def test_parts_are_the_whole(whole, tmp_path):
    out = str(tmp_path / "parts")
    assert stages.dialogues(out, COUNT, 2, size=SMALL, shard=Shard(1, 2)).status == "waiting"
    stages.dialogues(out, COUNT, 2, size=SMALL, shard=Shard(0, 2))
    by_id = {d.id: d for d in read_dialogues(out)}
    assert by_id == {d.id: d for d in read_dialogues(whole)}


def test_a_second_run_does_nothing_and_another_one_is_refused(whole):
    assert stages.dialogues(str(whole), COUNT, 2, size=SMALL).status == "already complete"
    for given, says in (
        ({"count": COUNT + 1}, "count"),
        ({"seed": 3}, "seed"),
        ({"held_out": True}, "held_out"),
        ({"values": "other"}, "values"),
        ({"size": Size(sessions=3, turns=8, questions=8)}, r"size\.sessions"),
    ):
        wanted = {"count": COUNT, "seed": 2, "size": SMALL} | given
        with pytest.raises(UserError, match=rf"begun with .*{says}="):
            stages.dialogues(str(whole), **wanted)


def test_dialogues_of_an_older_version_are_refused_by_field(tmp_path):
    facts = dict(DIALOGUE_LAYOUT["facts"][0])
    del facts["value"]
    spec = DatasetSpec(DIALOGUES, DIALOGUE_LAYOUT | {"facts": [facts]})
    record = {"id": "x", "speakers": ["A", "B"], "sessions": [], "turns": [], "questions": []}
    fact = {"text": "t", "speaker": "A", "session": 0, "evidence": "", "about": "", "ends": False}
    made = [("a", [record | {"facts": [fact]}], {})]
    write_dataset(tmp_path / "old", ["a"], lambda keys: made, spec)
    with pytest.raises(UserError, match=r"without the field facts\.value; make them again"):
        read_dialogues(tmp_path / "old")
