"""Where models are found; the hub is a cache on disk, as on a machine without network."""

import shutil

import huggingface_hub.constants
import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.models.hf import load_config
from duomem_jax.models.locate import model_path
from duomem_jax.models.shipped import model_folder


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub cache that holds somebody/small."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / "models--somebody--small/snapshots" / commit
    shutil.copytree(model_folder("tiny-student"), snapshot)
    refs = tmp_path / "models--somebody--small/refs"
    refs.mkdir()
    (refs / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    return snapshot


def test_model_path_of_shipped_models_and_folders(tmp_path):
    assert model_path("tiny-student") == str(model_folder("tiny-student"))
    assert model_path(str(tmp_path)) == str(tmp_path)


def test_model_path_of_a_cached_hub_id(hub):
    folder = model_path("somebody/small")
    assert load_config(folder) == load_config(model_folder("tiny-student"))


@pytest.mark.parametrize(
    ("name", "says"),
    [("somebody/else", "hub does not give it"), ("no-such-folder", "no such folder")],
)
def test_model_path_refuses_what_is_nowhere(hub, name, says):
    with pytest.raises(UserError, match=says) as e:
        model_path(name)
    assert "\n" not in str(e.value)
    assert name in str(e.value)
