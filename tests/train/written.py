"""What a run has written, read back."""

import json

import numpy as np
from safetensors.numpy import load_file


def adapter(folder):
    return load_file(folder / "adapter" / "adapter_model.safetensors")


def records(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
