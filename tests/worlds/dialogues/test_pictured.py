"""Pictures that people share: their files, what is said of them, and what is asked."""

import pytest
from PIL import Image

from duomem_jax.base.errors import UserError
from duomem_jax.records import read_dialogues
from duomem_jax.records.dialogues import SEEN, TOLD
from duomem_jax.records.pictures import FOLDER, PictureFolder
from duomem_jax.stages import dialogues


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Twelve dialogues with two pictures each, as the command writes them."""
    out = tmp_path_factory.mktemp("pictured") / "dialogues"
    dialogues(str(out), count=12, seed=1, pictures=2)
    return out


def test_every_picture_is_a_file_that_a_turn_names(stored):
    keep = PictureFolder(stored / FOLDER)
    names = []
    for dialogue in read_dialogues(stored):
        shared = [turn for _, turn in dialogue.turns() if turn.picture]
        assert len(shared) == 2
        names += [turn.picture for turn in shared]
        for session in dialogue.sessions:
            assert sum(bool(turn.picture) for turn in session.turns) <= 1
        for turn in shared:
            assert turn.caption
            assert Image.open(keep.path(turn.picture)).size == (128, 128)
    assert {path.name for path in (stored / FOLDER).iterdir()} == set(names)


def test_questions_of_a_picture_rest_on_the_turn_that_shares_it(stored):
    for dialogue in read_dialogues(stored):
        turns = {turn.id: turn for _, turn in dialogue.turns()}
        asked = [q for q in dialogue.questions if q.kind in (SEEN, TOLD)]
        assert sum(q.kind == SEEN for q in asked) == 2
        for question in asked:
            (evidence,) = question.evidence
            turn = turns[evidence]
            assert turn.picture
            assert question.text.startswith(f"{turn.speaker} shared a ")
            if question.kind == TOLD:
                assert question.answer in turn.caption
        # No two are about one picture in other words.
        assert len({q.text for q in asked}) == len(asked)


def test_a_dialogue_without_its_pictures_is_the_one_without_any(stored, tmp_path):
    dialogues(str(tmp_path / "plain"), count=12, seed=1)
    plain, pictured = map(read_dialogues, (tmp_path / "plain", stored))
    for before, after in zip(plain, pictured, strict=True):
        kept = [q for q in after.questions if q.kind not in (SEEN, TOLD)]
        assert tuple(kept) == before.questions
        noted = [fact.text for fact in after.facts if "shared a picture" not in fact.text]
        assert noted == [fact.text for fact in before.facts]
        for (_, one), (_, other) in zip(before.turns(), after.turns(), strict=True):
            assert other.text.startswith(one.text)
            assert (one == other) == (not other.picture)


def test_a_changed_a_missing_and_a_strange_name_are_refused(tmp_path):
    keep = PictureFolder(tmp_path / "pictures")
    name = keep.keep(b"one")
    assert keep.keep(b"one") == name
    assert keep.path(name).read_bytes() == b"one"
    (tmp_path / "pictures" / name).write_bytes(b"two")
    with pytest.raises(UserError, match="is not the picture that it was"):
        keep.path(name)
    keep.forget(name)
    keep.forget(name)
    with pytest.raises(UserError, match="no such picture"):
        keep.path(name)
    for strange in ("", "../x", name[:-1], name.upper()):
        for use in (keep.path, keep.forget):
            with pytest.raises(UserError, match="is no name of a picture"):
                use(strange)
