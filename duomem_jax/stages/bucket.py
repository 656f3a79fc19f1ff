"""Stages whose output is in a bucket: each part works here and is copied there."""

import dataclasses
import functools
import inspect
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

from duomem_jax.base.errors import UserError
from duomem_jax.base.interrupts import told_to_end
from duomem_jax.base.io import as_path, is_remote
from duomem_jax.base.mirror import Mirror
from duomem_jax.base.shard import Shard
from duomem_jax.records.store.write import WriteReport

P = ParamSpec("P")
R = TypeVar("R", bound=WriteReport | Path)


def in_a_bucket(stage: Callable[P, R]) -> Callable[P, R]:
    """A stage that may be given gs://BUCKET/FOLDER; its first argument is the folder.

    A part that is killed goes on from the last copy, on any machine. The part that ends last
    finishes the folder, from what the others say of theirs.
    """

    @functools.wraps(stage)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = inspect.signature(stage).bind(*args, **kwargs)
        bound.apply_defaults()
        out = bound.arguments["out"]
        if not is_remote(out):
            return stage(*args, **kwargs)

        def work(folder: Path) -> R:
            bound.arguments["out"] = str(folder)
            return stage(*bound.args, **bound.kwargs)

        return _away(out, bound.arguments["shard"], work)

    return run


def _away(url: str, shard: Shard, work: Callable[[Path], R]) -> R:
    with tempfile.TemporaryDirectory(prefix="duomem-") as tmp:
        local = Path(tmp, "out")
        local.mkdir()
        try:
            result = _mirrored(Mirror(url, local, shard), local, url, work)
        except UserError as e:
            raise UserError(str(e).replace(str(local), url)) from e
        if isinstance(result, Path):
            return cast(R, as_path(url) / result.relative_to(local))
        told = result.message.replace(str(local), url)
        return cast(R, dataclasses.replace(result, message=told))


def _mirrored(mirror: Mirror, local: Path, url: str, work: Callable[[Path], R]) -> R:
    with told_to_end(f"told to end; what is done is in {url}"):
        mirror.fetch()
        with mirror.sending():
            result = work(local)
        if mirror.end():
            # The same command, once more: its own part is done, and so are those of the others.
            mirror.fetch()
            result = work(local)
            mirror.send()
            mirror.finish()
        return result
