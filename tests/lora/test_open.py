"""A model with its adapter, and the name that says which ones they are."""

import shutil

import jax
import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.lora.open import content_name
from duomem_jax.lora.peft import save_adapter
from duomem_jax.models.hf import fingerprint
from duomem_jax.models.load import load_config
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model
from duomem_jax.models.shipped import model_folder

FOLDER = str(model_folder("tiny-student"))
LORA = LoraConfig(rank=2, alpha=4.0)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Adapters of two seeds, each in a folder `adapter`, and a copy of the first one."""
    root = tmp_path_factory.mktemp("runs")
    model = Model(load_config(FOLDER), LORA)
    for seed in range(2):
        lora = model.init_lora(jax.random.key(seed))
        folder = root / f"seed{seed}" / "adapter"
        save_adapter(folder, lora, LORA, fingerprint(FOLDER), base_name="tiny-student")
    shutil.copytree(root / "seed0", root / "moved" / "seed0")
    return root


def test_content_name_tells_adapters_of_equal_folder_names_apart(runs):
    names = {content_name(FOLDER, str(runs / run / "adapter")) for run in ("seed0", "seed1")}
    assert len({name.rpartition("@")[2] for name in names}) == 2
    assert all(name.startswith(content_name(FOLDER) + "+seed") for name in names)


def test_content_name_follows_content_not_paths(runs):
    here, there = (content_name(FOLDER, str(f / "seed0/adapter")) for f in (runs, runs / "moved"))
    assert here == there


def test_content_name_tells_models_of_equal_folder_names_apart(tmp_path):
    for copy, source in (("a", "tiny-student"), ("b", "tiny-teacher")):
        shutil.copytree(model_folder(source), tmp_path / copy / "model")
    first, second = (content_name(str(tmp_path / copy / "model")) for copy in ("a", "b"))
    assert first != second
    assert {name.partition("@")[0] for name in (first, second)} == {"model"}


def test_content_name_refuses_a_folder_without_an_adapter(tmp_path):
    with pytest.raises(UserError, match="adapter_config"):
        content_name(FOLDER, str(tmp_path))
