"""A store of memories from the command line."""

import json

import pytest

from duomem_jax import cli


@pytest.fixture
def run(tmp_path, capsys):
    """Run a command on one store; give what it prints."""

    def call(command, *words):
        cli.main(["memory", command, str(tmp_path / "store.sqlite"), *words])
        return capsys.readouterr().out

    return call


def test_scripts_read_memories_as_json(run):
    run("add", "I live in Oslo.", "--who", "ann")
    run("add", "I have a dog.", "--who", "ann")
    shown = [json.loads(line) for line in run("show", "--json").splitlines()]
    assert [memory["text"] for memory in shown] == ["I live in Oslo.", "I have a dog."]
    assert {memory["owner"] for memory in shown} == {"ann"}
    best, *others = (json.loads(line) for line in run("recall", "Oslo", "--json").splitlines())
    assert best["text"] == "I live in Oslo."
    assert all(other["score"] <= best["score"] for other in others)
    # The same as a person reads.
    assert f"{best['score']:8.3f}" in run("recall", "Oslo")


def test_uses_and_scores_are_drawn(run, tmp_path, capsys):
    run("add", "I live in Oslo.")
    picture = tmp_path / "p.png"
    assert "1 drawn" in run("draw", str(picture), "--query", "Oslo")
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert picture.with_suffix(".svg").exists()
    for place, said in (("uses.png", "no such memory to draw"), ("uses.jpg", "ends in .png")):
        with pytest.raises(SystemExit, match="2"):
            run("draw", str(tmp_path / place))
        assert said in capsys.readouterr().err
        assert not (tmp_path / place).exists()


@pytest.mark.parametrize("there", ["p.png", "p.svg"])
def test_a_picture_that_is_there_stays(run, tmp_path, capsys, there):
    run("add", "I live in Oslo.")
    (tmp_path / there).write_text("mine")
    with pytest.raises(SystemExit, match="2"):
        run("draw", str(tmp_path / "p.png"), "--query", "Oslo")
    assert f"{there}: is a file" in capsys.readouterr().err
    assert (tmp_path / there).read_text() == "mine"
