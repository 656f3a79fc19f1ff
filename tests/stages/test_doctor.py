"""What is told of this machine is true of it."""

import json
from importlib import metadata

import jax

from duomem_jax.aot import here
from duomem_jax.aot.steps import RowSizes
from duomem_jax.stages.doctor import _needed, doctor
from duomem_jax.train.config import load_config


def test_versions_and_devices_are_those_of_this_process(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = json.loads(doctor(json=True))
    assert found["versions"]["jax"] == jax.__version__
    assert found["devices"] == {"cpu": len(jax.devices())}
    assert found["settings"]["HF_HUB_OFFLINE"] == "1"
    assert 0 < found["free_bytes"] < 2**50
    text = doctor()
    assert f"jax                 {jax.__version__}" in text
    assert f"{len(jax.devices())} x cpu" in text


def test_what_an_extra_lacks_is_named(monkeypatch):
    """Of a package that needs another one, which has an extra of its own."""
    wanted = {
        "duomem-jax": ["a>=1", 'b[fast]>=1; extra == "tpu"', 'c; extra == "gcs"'],
        "b": ["d", 'e; extra == "fast"', 'f; extra == "fast" and sys_platform == "nowhere"'],
    }
    monkeypatch.setattr(metadata, "requires", lambda name: wanted.get(name, []))
    monkeypatch.setattr(metadata, "version", lambda name: "1")
    assert list(_needed("duomem-jax")) == ["a"]
    assert list(_needed("duomem-jax", "tpu")) == ["b", "e"]
    assert list(_needed("duomem-jax", "gcs")) == ["c"]


def test_a_run_needs_its_weights_and_the_time_of_its_products(monkeypatch):
    monkeypatch.setattr(here, "product_speed", lambda dtype: 1e9)
    config = load_config("configs/quickstart.py", ["--mesh.data=1"])
    local = jax.local_devices()[:1]
    monkeypatch.setattr(jax, "devices", lambda: local)
    found = here.needs(config, RowSizes(64, 64, 0))
    # Twice forward and once for the gradient of inputs, of half a million kernels in float32.
    assert found.bytes > 4 * 0.5e6
    tokens = config.steps * config.global_batch * 64
    assert 4 * 0.5e6 * tokens / 1e9 < found.seconds < 8 * 3e6 * tokens / 1e9


def test_a_product_is_no_faster_than_a_machine_can_be():
    assert 1e8 < here.product_speed("float32") < 1e15
