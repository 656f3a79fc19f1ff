"""Experiment files and typed overrides; every mistake is one sentence."""

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.train.config import TrainConfig, load_config

FILE = """
from duomem_jax.train.config import OnPolicyConfig, TrainConfig
def get_config():
    return TrainConfig(base="b", data="d", output="o"{extra})
"""


@pytest.fixture
def write(tmp_path):
    def make(extra=""):
        path = tmp_path / "x.py"
        path.write_text(FILE.format(extra=extra))
        return path

    return make


def test_overrides_are_typed_and_nested(write):
    got = load_config(
        write(),
        [
            *("--steps", "7", "--lora.rank=3", "--lora.targets", "q_proj", "v_proj", "--remat"),
            *("--optimizer.learning_rate", "1e-2", "--optimizer.name", "muon"),
        ],
    )
    assert (got.steps, got.lora.rank, got.lora.targets) == (7, 3, ("q_proj", "v_proj"))
    assert (got.optimizer.learning_rate, got.optimizer.name, got.remat) == (1e-2, "muon", True)
    assert load_config(write()) == TrainConfig("b", "d", "o")


def test_a_bad_value_of_a_nested_record_without_a_name_of_its_own(write):
    """`on_policy.play.slots` is spelled `--on-policy.slots`."""
    path = write(", on_policy=OnPolicyConfig()")
    assert load_config(path, ["--on-policy.slots", "3"]).on_policy.play.slots == 3
    with pytest.raises(UserError, match=r"field --on-policy.slots cannot be 'x'; give int"):
        load_config(path, ["--on-policy.slots", "x"])
    with pytest.raises(UserError, match=r"no field --on-policy.rooms; choose from .*slots, "):
        load_config(path, ["--on-policy.rooms", "3"])


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--stepps", "7"], "command line: no field --stepps; choose from base"),
        (["--lora.rnk", "7"], "command line: no field --lora.rnk; choose from rank"),
        (["--steps", "many"], "command line: field --steps cannot be 'many'; give int"),
        (["--seed", "1", "--steps=1.5"], "command line: field --steps cannot be '1.5'; give int"),
        (["--trainable", "most"], "command line: field --trainable cannot be 'most'; give Lit"),
        (["--steps"], "command line: field --steps cannot be ''; give int"),
        (["7"], "command line: no field 7"),
        (["--lora.rank", "0"], "field rank is 0; give a whole number, 1 or more"),
    ],
)
def test_bad_overrides(write, args, sentence):
    with pytest.raises(UserError) as e:
        load_config(write(), args)
    assert str(e.value).startswith(sentence)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        (", stepps=7", "unexpected keyword argument 'stepps'"),
        (", steps='7'", "field steps is '7'; give int"),
        (", steps=True", "field steps is True; give int"),
        (", trainable='most'", "field trainable is 'most'; give Literal['lora', 'all']"),
        (", lora={'rank': 3}", "field lora is {'rank': 3}; give LoraConfig"),
        (", steps=1/0", "ZeroDivisionError"),
        (" +", "SyntaxError"),
    ],
)
def test_bad_files(write, extra, sentence):
    path = write(extra)
    with pytest.raises(UserError) as e:
        load_config(path)
    assert str(e.value).startswith(f"{path}: ")
    assert sentence in str(e.value)


def test_a_missing_config_is_named(tmp_path):
    with pytest.raises(UserError, match="no such config"):
        load_config(tmp_path / "none.py")
