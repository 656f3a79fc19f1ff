"""A config to what its steps need and cost on TPUs that are not there."""

from json import dumps
from typing import Literal

from duomem_jax.base.ranges import Few, Length, Limit, checked
from duomem_jax.stages.options import Config


@checked
def compile_check(
    config: Config,
    /,
    topology: str,
    slices: Few = 1,
    model: str = "",
    fields: tuple[str, ...] = (),
    length: Length = 4096,
    replies: Limit = 0,
    candidates: Few = 32,
    tiles: Limit = 0,
    steps: tuple[Literal["train", "decode"], ...] = ("train", "decode"),
    json: bool = False,
) -> str:
    """Compile train and decode steps for TPUs that you do not have: memory, work, least time.

    Args:
        config: of train.py.
        topology: chips of a slice, such as v5e:4x4, v5e-16, v5p:2x2x4, v6e-64.
        slices: how many of them.
        model: folder or hub id in place of the config's base; its config.json is enough.
        fields: of the config that are set otherwise, such as global-batch=64 mesh.fsdp=4.
        length: tokens of a row, and of a cache.
        replies: reply tokens a row has at most; 0: all.
        candidates: stored targets a reply token, where the objective reads them.
        tiles: of pictures that a row has room for, in the train step of a model that sees.
        steps: what is compiled.
        json: one line of JSON instead of tables.

    Returns:
        Tables in Markdown, or the line.

    Raises:
        UserError: no such model or topology, or a step that does not fit.
    """
    # Imported here: every command imports this module, and no other one needs `aot`.
    from duomem_jax.aot.check import check
    from duomem_jax.aot.steps import RowSizes
    from duomem_jax.aot.text import compiled_text
    from duomem_jax.aot.topology import compile_devices, parse_topology
    from duomem_jax.train.config import load_config

    # As command-line overrides, so that their types and mistakes are those of train.py.
    base = [f"--base={model}"] if model else []
    train_config = load_config(config, [*(f"--{field}" for field in fields), *base])
    # A row has no more replies than tokens, whatever is asked for.
    rows = RowSizes(length, min(replies or length, length), candidates, tiles)
    chips = parse_topology(topology, slices)
    found = check(train_config, chips, compile_devices(chips), rows, steps)
    return dumps(found.to_dict()) if json else compiled_text(found)
