"""The whole command, in this process and killed in another."""

from safetensors.numpy import load_file

import train


def adapter(folder):
    return load_file(folder / "adapter" / "adapter_model.safetensors")


def run(config_file, *overrides):
    return train.main(["--config", str(config_file), *map(str, overrides)])


def test_lora_run_learns_and_exports(config_file, tmp_path):
    import json

    assert run(config_file) == 0
    lines = [json.loads(x) for x in (tmp_path / "out/metrics.jsonl").read_text().splitlines()]
    assert [x["step"] for x in lines] == [2, 4, 6]
    print(lines)
    adapter(tmp_path / "out")
