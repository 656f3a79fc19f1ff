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
