"""The command line of training, as `train.py` and as `duomem train`."""

import subprocess
import sys
from pathlib import Path

import pytest

import train
from duomem_jax.base.errors import UserError
from duomem_jax.train.command import parse

ROOT = Path(train.__file__).parent
QUICKSTART = str(ROOT / "configs/quickstart.py")


@pytest.mark.parametrize(
    "words",
    [
        ["--config", QUICKSTART, "--steps", "3"],
        ["--steps", "3", "--config", QUICKSTART],
        [f"--config={QUICKSTART}", "--steps=3"],
    ],
)
def test_the_config_may_stand_anywhere(words):
    assert parse(words).steps == 3


@pytest.mark.parametrize("words", [[], ["--steps", "3"], ["--config"], [QUICKSTART]])
def test_without_a_config_there_is_the_usage(words):
    with pytest.raises(UserError, match=r"usage: duomem train --config .*--help lists"):
        parse(words, "duomem train")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--config", QUICKSTART, "--help"]])
def test_help_lists_the_fields(words, capsys):
    with pytest.raises(SystemExit) as end:
        parse(words, "duomem train")
    assert not end.value.code
    out = capsys.readouterr().out
    file = QUICKSTART if QUICKSTART in words else "FILE"
    assert out.startswith(f"usage: duomem train --config {file}")
    assert "--lora.rslora" in out


def test_a_flag_with_a_value_says_how_it_is_given():
    with pytest.raises(UserError, match=r"give it alone, or --lora\.no-rslora for no"):
        parse(["--config", QUICKSTART, "--lora.rslora", "True"])
    assert parse(["--config", QUICKSTART, "--lora.rslora"]).lora.rslora
    assert not parse(["--config", QUICKSTART, "--lora.no-rslora"]).lora.rslora


CONFIGS = {
    "alfworld_tiny.py": "this is a config for `duomem compare`, as it has get_experiment()",
    "none.py": "no such config",
    "../pyproject.toml": "no Python file",
    "../train.py": "has no get_config(), so it is no config for train.py",
}


@pytest.mark.parametrize("file", CONFIGS)
def test_another_kind_of_file_is_refused(file):
    with pytest.raises(UserError) as e:
        parse(["--config", str(ROOT / "configs" / file)])
    assert CONFIGS[file] in str(e.value)


def test_a_config_that_leaves_python_is_a_mistake(tmp_path):
    (tmp_path / "c.py").write_text("import sys; sys.exit('no')")
    with pytest.raises(UserError, match="SystemExit: no; correct the file"):
        parse(["--config", str(tmp_path / "c.py")])


def test_duomem_train_trains(config_file, tmp_path):
    command = [sys.executable, "-m", "duomem_jax", "train", "--config", str(config_file)]
    found = subprocess.run(
        [*command, "--steps", "2"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[-1] == str(tmp_path / "out" / "adapter")
    assert list((tmp_path / "out" / "adapter").glob("*.safetensors"))
