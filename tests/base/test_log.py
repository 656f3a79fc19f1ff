"""One log for all finished work: kills, rivals, threads, readers, damage, full disks."""

import random
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.base.log import Log, read_log


def test_units_come_back_by_key_and_in_the_order_of_appending(tmp_path):
    with Log(tmp_path / "folder" / "log.sqlite") as log:
        log.append("b", [b"2" * 100, b""], {"n": 2, "zero": 0})
        log.append("a", [b"1"], {"n": 1})
        log.append("empty", [], {})
    with Log(log.path) as log:
        assert log.keys() == ["a", "b", "empty"]
        assert (log.read("a"), log.read("b"), log.read("empty")) == ([b"1"], [b"2" * 100, b""], [])
        assert log.records() == [b"2" * 100, b"", b"1"]
        assert list(log.counts.items()) == [("n", 3), ("zero", 0)]
        assert ("a" in log, "c" in log, log.units) == (True, False, 3)
        with pytest.raises(ValueError, match="a is already in"):
            log.append("a", [b"other"], {"n": 5})
        assert log.counts["n"] == 3


def test_a_log_needs_no_shared_memory(tmp_path):
    """Network folders have none; a killed process leaves the file in WAL mode."""
    killed = (
        "import os, sys; from pathlib import Path; from duomem_jax.base.log import Log\n"
        "Log(Path(sys.argv[1])).append('a', [b'1'], {}); os._exit(0)"
    )
    path = tmp_path / "log.sqlite"
    subprocess.run([sys.executable, "-c", killed, str(path)], check=True)
    assert path.with_name("log.sqlite-wal").exists()
    with Log(path) as log:
        log.append("b", [b"2"], {})
        assert not path.with_name("log.sqlite-shm").exists()
        assert log.keys() == ["a", "b"]


def test_a_closed_log_is_one_file(tmp_path):
    log = Log(tmp_path / "log.sqlite")
    log.append("a", [b"1"], {})
    log.close()
    log.close()
    assert list(tmp_path.iterdir()) == [log.path]


APPENDS_FOR_EVER = """
import sys
from pathlib import Path
from duomem_jax.base.log import Log
with Log(Path(sys.argv[1]), shared=sys.argv[2] == "shared") as log:
    number = log.units
    while True:
        content = number.to_bytes(4, "big") * 50_000
        log.append(f"{number:06d}", [content, b""], {"n": 1, f"n{number}": 1})
        print(number, flush=True)
        number += 1
"""


@pytest.mark.parametrize("shared", [True, False])
def test_a_killed_process_loses_at_most_the_unit_at_hand(tmp_path, shared):
    """SIGKILL at random moments; a unit takes milliseconds, so most strike within one."""
    rng, path, said = random.Random(0), tmp_path / "log.sqlite", -1
    command = [sys.executable, "-c", APPENDS_FOR_EVER, str(path), "shared" if shared else ""]
    for _ in range(3):
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
        said = int(child.stdout.readline())
        killer = threading.Timer(rng.uniform(0.01, 0.1), child.send_signal, [signal.SIGKILL])
        killer.start()
        said = max([said, *map(int, child.stdout.read().splitlines())])
        child.wait()
        with Log(path, shared=shared) as log:
            assert log.units - (said + 1) in (0, 1)  # it may be struck before it says so
            assert log.keys() == [f"{i:06d}" for i in range(log.units)]
            for i, key in enumerate(log.keys()):
                assert log.read(key) == [i.to_bytes(4, "big") * 50_000, b""]
            assert log.counts == {"n": log.units} | {f"n{i}": 1 for i in range(log.units)}
    assert said >= 2  # each child has stored one at least


def test_a_second_writer_is_refused_until_the_first_ends(tmp_path):
    path = tmp_path / "log.sqlite"
    with Log(path) as log:
        log.append("a", [b"1"], {})
        for _ in range(2):
            with pytest.raises(UserError, match=r"log\.sqlite: another process is writing this"):
                Log(path)
        log.append("b", [b"2"], {})
    with Log(path) as log:
        assert log.keys() == ["a", "b"]


def test_many_threads_append(tmp_path):
    with Log(tmp_path / "log.sqlite") as log:

        def work(worker):
            for i in range(20):
                log.append(f"{worker}-{i}", [f"{worker} {i}".encode()], {"n": 1, str(worker): i})
                assert log.read(f"{worker}-{i}") == [f"{worker} {i}".encode()]

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        assert len(log.keys()) == 160
        assert log.counts == {"n": 160} | {str(worker): 190 for worker in range(8)}


APPENDS_SIXTY = """
import sys
import time
from pathlib import Path
from duomem_jax.base.log import Log
with Log(Path(sys.argv[1]), {"x": 1}, shared=True) as log:
    for i in range(60):
        log.append(str(i), [b"%d" % i] * 3, {})
        time.sleep(0.005)
"""


def test_reading_while_it_is_written_sees_whole_units(tmp_path):
    path, lengths = tmp_path / "log.sqlite", set()
    child = subprocess.Popen([sys.executable, "-c", APPENDS_SIXTY, str(path)])
    while child.poll() is None:
        if path.exists():
            records = read_log(path)[1]
            assert records == [b"%d" % (i // 3) for i in range(len(records))]
            lengths.add(len(records))
    assert child.returncode == 0
    assert read_log(path) == ({"x": 1}, [b"%d" % (i // 3) for i in range(180)])
    assert all(length % 3 == 0 for length in lengths)
    assert len(lengths) > 5


def test_a_log_that_is_just_being_made_reads_as_empty(tmp_path):
    path = tmp_path / "log.sqlite"
    path.touch()
    assert read_log(path) == ({}, [])


def test_a_log_belongs_to_one_configuration_from_its_first_unit_on(tmp_path):
    path = tmp_path / "log.sqlite"
    with Log(path, {"x": 1, "targets": ("q", "v")}):
        pass
    with Log(path, {"x": 2, "targets": ("q", "v"), "y": None}) as log:
        log.append("a", [b"1"], {})
    with Log(path, {"x": 2, "targets": ["q", "v"], "y": None}):
        pass
    with pytest.raises(UserError, match=r"another configuration \(different: targets, z\)"):
        Log(path, {"x": 2, "targets": "q", "z": 0})
    with Log(path, {"x": 2, "targets": ["q", "v"], "y": None}) as log:  # a refusal holds no lock
        assert log.keys() == ["a"]


def cut(data):
    return data[: len(data) // 2]


def scribble(data):
    return data[:100] + bytes(b ^ 0x5A for b in data[100:])


def flip_a_bit(data):
    at = data.index(b"a record") + 100
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def replace(data):
    return b"no database " * 100


def open_and_read(path):
    with Log(path, shared=True) as log:
        log.records()


@pytest.mark.parametrize("damage", [cut, scribble, flip_a_bit, replace])
def test_a_damaged_file_is_one_sentence(tmp_path, damage):
    path = tmp_path / "log.sqlite"
    with Log(path, shared=True) as log:
        log.append("a", [b"a record" * 60] * 100, {})
    path.write_bytes(damage(path.read_bytes()))
    for use in (open_and_read, read_log):
        with pytest.raises(UserError, match=r"log\.sqlite: damaged \(.*delete it and run") as e:
            use(path)
        assert "\n" not in str(e.value)


def everything(log):
    keys = log.keys()
    return {key: log.read(key) for key in keys}


def test_no_damage_goes_unnoticed(tmp_path):
    """Random bytes at random places: a sentence, or all is as it was written."""
    rng, path, noticed = random.Random(0), tmp_path / "log.sqlite", 0
    with Log(path, shared=True) as log:
        for i in range(20):
            log.append(f"k{i}", [rng.randbytes(rng.randrange(600))] * 2, {})
        units = everything(log)
    whole = path.read_bytes()
    for _ in range(200):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 5, 50])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        try:
            with Log(path, shared=True) as log:
                assert everything(log) == units
        except UserError:
            noticed += 1
    assert noticed > 100


def test_a_database_of_another_program_is_left_alone(tmp_path):
    path = tmp_path / "log.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE thesis (text)")
    other.close()
    before = path.read_bytes()
    for use in (Log, read_log):
        with pytest.raises(UserError, match="not one of duomem's logs"):
            use(path)
    assert path.read_bytes() == before


def test_a_missing_file_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="cannot be opened"):
        read_log(tmp_path / "log.sqlite")


def test_on_a_full_disk_a_log_keeps_its_whole_units(tmp_path):
    """SQLite's own limit of pages fails like a full disk does."""
    with Log(tmp_path / "log.sqlite") as log:
        log.append("a", [b"1"], {"n": 1})
        ((pages,),) = log._database.execute("PRAGMA page_count")
        log._database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(UserError, match=r"log\.sqlite: the disk is full; free some space"):
            log.append("b", [bytes(10**6)], {"n": 1})
        log._database.execute("PRAGMA max_page_count = 100000")
        log.append("b", [b"2"], {"n": 1})
    with Log(log.path) as log:
        assert ([log.read(key) for key in log.keys()], log.counts) == ([[b"1"], [b"2"]], {"n": 2})  # noqa: SIM118
