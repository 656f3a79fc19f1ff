"""What is installed, what there is to compute on, and what a run would need here."""

import dataclasses
import json as json_format
import os
import platform
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from duomem_jax.base.ranges import Few, Length, checked

if TYPE_CHECKING:
    from duomem_jax.aot.here import Needs

OURS = "duomem-jax"
_FOR_DEVELOPERS = ("test", "docs", "dev")
_SETTINGS = (
    *("JAX_PLATFORMS", "XLA_FLAGS", "JAX_COMPILATION_CACHE_DIR", "HF_HOME", "HF_HUB_OFFLINE"),
    *("ALFWORLD_DATA", "DUOMEM_REAL_GAMES"),
)


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What `duomem doctor` tells.

    Attributes:
        versions: of Python, this package and what it needs; "" for what is missing.
        extras: what each extra lacks; nothing where it can be used.
        devices: kinds of device, and how many of each.
        cores: that this process may use.
        free_bytes: that weights and caches may take; None where nobody says.
        settings: environment variables that change what happens, where they are set.
        run: what a config would need here; None where none was given.
    """

    versions: dict[str, str]
    extras: dict[str, list[str]]
    devices: dict[str, int]
    cores: int
    free_bytes: int | None
    settings: dict[str, str]
    run: "Needs | None"


@checked
def doctor(
    config: str = "", length: Length = 1024, candidates: Few = 32, json: bool = False
) -> str:
    """Tell what is installed, which devices are there, and what a config would need on them.

    Args:
        config: of train.py, such as configs/quickstart.py; empty: none is looked at.
        length: tokens of its rows.
        candidates: stored targets a reply token, where its objective reads them.
        json: one line of JSON.

    Returns:
        What was found.

    Raises:
        UserError: no such config or model.
    """
    found = _diagnosis(config, length, candidates)
    return json_format.dumps(dataclasses.asdict(found)) if json else _text(found)


def _diagnosis(config: str, length: int, candidates: int) -> Diagnosis:
    # Imported here: the other commands need not wait for it.
    import jax

    from duomem_jax.mesh.memory import usable_memory

    devices = [device.device_kind for device in jax.devices()]
    return Diagnosis(
        versions={"python": platform.python_version(), OURS: metadata.version(OURS)}
        | {name: _version(name) for name in _needed(OURS)},
        extras={extra: _missing(extra) for extra in _extras()},
        devices={kind: devices.count(kind) for kind in dict.fromkeys(devices)},
        cores=_cores(),
        free_bytes=usable_memory(),
        settings={name: os.environ[name] for name in _SETTINGS if name in os.environ},
        run=_run(config, length, candidates) if config else None,
    )


def _run(config: str, length: int, candidates: int) -> "Needs":
    from duomem_jax.aot.here import needs
    from duomem_jax.aot.steps import RowSizes
    from duomem_jax.train.config import load_config

    return needs(load_config(config), RowSizes(length, length, candidates))


def _needed(package: str, extra: str = "") -> Iterator[str]:
    """Packages that one needs on this machine, or those that an extra of it adds."""
    for text in metadata.requires(package) or ():
        wanted = Requirement(text)
        usual = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
        if usual != (not extra) or (wanted.marker and not wanted.marker.evaluate({"extra": extra})):
            continue
        yield wanted.name
        # `jax[tpu]`: what that extra of it adds is needed too.
        for theirs in wanted.extras if _version(wanted.name) else ():
            yield from _needed(wanted.name, theirs)


def _extras() -> list[str]:
    provided = metadata.metadata(OURS).get_all("Provides-Extra") or []
    return [extra for extra in provided if extra not in _FOR_DEVELOPERS]


def _missing(extra: str) -> list[str]:
    return [name for name in _needed(OURS, extra) if not _version(name)]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _text(found: Diagnosis) -> str:
    lines = ["Installed"]
    lines += [f"  {name:20}{version or 'missing'}" for name, version in found.versions.items()]
    lines += ["", "Extras (pip install duomem-jax[NAME])"]
    for extra, missing in found.extras.items():
        state = f"lacks {', '.join(missing)}" if missing else "there"
        lines.append(f"  {extra:20}{state}")
    lines += ["", "To compute on"]
    lines += [f"  {count} x {kind}" for kind, count in found.devices.items()]
    free = "unknown" if found.free_bytes is None else f"{found.free_bytes / 2**30:.1f} GiB"
    lines.append(f"  {found.cores} cores; {free} for weights and caches")
    if found.settings:
        lines += ["", "Settings in the environment"]
        lines += [f"  {name}={value}" for name, value in found.settings.items()]
    if found.run:
        lines += ["", f"Training {found.run.model}"]
        lines.append(f"  {found.run.bytes / 2**30:.2f} GiB on each device")
        lines.append(
            f"  {found.run.seconds / 60:.1f} minutes at the least, at the "
            f"{found.run.flops / 1e9:,.0f} GFLOP/s of a large product here"
        )
    return "\n".join(lines)
