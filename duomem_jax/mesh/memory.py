"""How much memory is left where arrays lie: on an accelerator, or on this machine."""

import os
from pathlib import Path

import jax

SHARE = 0.8  # of the free memory that weights and caches may take; the rest is for temporaries
CGROUPS = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")
OWN_CGROUPS = Path("/proc/self/cgroup")
# The files of a control group that say its limit, what is used of it, and the name of the part of
# that which only caches files; by the version of control groups.
V2 = ("memory.max", "memory.current", "inactive_file")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def free_memory() -> int | None:
    """Bytes that arrays on the default device may still take; None where nobody says."""
    device = jax.local_devices()[0]
    stats = (device.memory_stats() or {}) if device.platform != "cpu" else {}
    if "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    # An accelerator that keeps no statistics has its own memory, and the machine's says nothing.
    return free_on_machine() if device.platform == "cpu" else None


def usable_memory() -> int | None:
    """The part of it that weights and caches may take."""
    free = free_memory()
    return None if free is None else int(SHARE * free)


def free_on_machine() -> int | None:
    """Bytes that this process may still take, by the machine and by its control groups."""
    left = [_available(), *(_left(folder, names) for folder, names in _groups())]
    return min((n for n in left if n is not None), default=None)


def _available() -> int | None:
    """What the machine has left."""
    try:
        for line in MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
        return None
    except (OSError, ValueError, IndexError):
        pass
    try:
        # No Linux: all there is, as nothing tells what others use of it.
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        return None


def _groups() -> list[tuple[Path, tuple[str, str, str]]]:
    """Folders of the control groups that limit this process, and the names of their files."""
    try:
        lines = OWN_CGROUPS.read_text().splitlines()
    except OSError:
        return []
    found: list[tuple[Path, tuple[str, str, str]]] = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        root, names = (CGROUPS / "memory", V1) if controllers else (CGROUPS, V2)
        # A limit of any group above holds too. In a container the path may be the host's, which is
        # not mounted: its root is then the container's own group.
        folder = root / path.lstrip("/")
        parents = [p for p in (folder, *folder.parents) if p == root or root in p.parents]
        found += [(parent, names) for parent in parents]
    return found


def _left(folder: Path, names: tuple[str, str, str]) -> int | None:
    """What a control group may still take; None without a limit."""
    limit, used, cached = names
    try:
        most, now = int((folder / limit).read_text()), int((folder / used).read_text())
    except (OSError, ValueError):  # not mounted, or "max"
        return None
    try:
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        # Files are dropped from memory when it is needed for something else.
        now -= int(stat.get(cached, 0))
    except (OSError, ValueError):
        pass
    return max(0, most - now)
