"""Generated games: made once, and never taken for those of other options."""

from pathlib import Path

import pytest

from duomem_jax import stages
from duomem_jax.base.errors import UserError


def test_a_folder_of_games_belongs_to_its_count_seed_and_world(tmp_path):
    out = str(tmp_path / "games")
    assert stages.generate(out, 3, 1) == f"{out}: 3 games written"
    assert stages.generate(out, 3, 1) == f"{out}: already there, reused"
    with pytest.raises(UserError, match=r"begun with seed=1, not 2"):
        stages.generate(out, 3, 2)
    with pytest.raises(UserError, match=r"begun with count=3, not 4"):
        stages.generate(out, 4, 1)


def test_a_folder_of_something_else_is_refused_and_kept(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for out, why in ((tmp_path, "is not empty"), (tmp_path / "notes.txt", "is a file")):
        with pytest.raises(UserError, match=f"{out}: {why}; nothing is replaced"):
            stages.generate(str(out), 3, 1)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
    (tmp_path / "empty").mkdir()
    assert "3 games written" in stages.generate(str(tmp_path / "empty"), 3, 1)


def test_a_folder_that_lost_games_is_not_reused(tmp_path):
    out = str(tmp_path / "games")
    stages.generate(out, 3, 1)
    next(Path(out).rglob("game.tw-pddl")).unlink()
    with pytest.raises(UserError, match="2 of its 3 games are there; delete it"):
        stages.generate(out, 3, 1)
