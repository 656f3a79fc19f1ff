"""How options that every stage shares look on the command line, which is made from the stages."""

from pathlib import Path
from typing import Annotated

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from duomem_jax.base.shard import Shard

Folder = Annotated[str, tyro.conf.Positional, tyro.conf.arg(name="folder", metavar="FOLDER")]
Config = Annotated[str, tyro.conf.Positional, tyro.conf.arg(name="config", metavar="CONFIG")]
# One word, such as 0/4: tyro would make two flags of the record's fields.
Part = Annotated[
    Shard,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="I/N",
        instance_from_str=lambda args: Shard.parse(args[0]),
        is_instance=lambda value: isinstance(value, Shard),
        str_from_instance=lambda shard: [str(shard)],
    ),
]


def served_record(out: str, shard: Shard) -> Path:
    """Where a stage keeps what a served model answered and cost."""
    # A file has one writer at a time, so each shard has its own.
    return Path(out) / ("served" if shard.is_whole else f"served-{shard.label}")
