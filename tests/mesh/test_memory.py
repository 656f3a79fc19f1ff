"""What is left of the memory, by the machine and by control groups of both versions."""

import pytest

from duomem_jax.mesh import memory

GIB = 2**30


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with 8 GiB left, whose files lie in a folder; its function writes more of them."""

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    write("meminfo", f"MemTotal: 99 kB\nMemAvailable: {8 * GIB >> 10} kB\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "OWN_CGROUPS", tmp_path / "own")
    return write


def group(write, folder, names, limit, used, cached=0):
    for name, value in zip(names, (limit, used), strict=False):
        write(f"cgroup/{folder}/{name}", f"{value}\n")
    write(f"cgroup/{folder}/memory.stat", f"anon 7\n{names[2]} {cached}\n")


def test_without_groups_the_machine_decides(machine):
    assert memory.free_on_machine() == 8 * GIB


def test_a_group_limits_what_is_left_and_cached_files_do_not_count(machine):
    machine("own", "0::/a/b\n")
    group(machine, "a/b", memory.V2, 4 * GIB, 3 * GIB, cached=GIB)
    assert memory.free_on_machine() == 2 * GIB


def test_the_groups_above_limit_too(machine):
    machine("own", "0::/a/b\n")
    group(machine, "a/b", memory.V2, "max", GIB)
    group(machine, "a", memory.V2, 2 * GIB, GIB)
    assert memory.free_on_machine() == GIB


def test_groups_of_the_first_version(machine):
    machine("own", "5:cpu:/x\n4:memory:/not/mounted\n0::/\n")
    group(machine, "memory", memory.V1, 3 * GIB, 2 * GIB)
    group(machine, "memory/x", memory.V1, 1, 0)
    assert memory.free_on_machine() == GIB


def test_a_group_that_is_full_has_nothing_left(machine):
    machine("own", "0::/\n")
    group(machine, ".", memory.V2, GIB, 2 * GIB)
    assert memory.free_on_machine() == 0


def test_here_some_memory_is_left():
    free = memory.free_memory()
    assert free is not None
    assert 2**20 < free < 2**50
