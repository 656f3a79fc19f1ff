"""One writer at a time, and the others are told who it is."""

import os
import subprocess
import sys

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import slug
from duomem_jax.base.lock import lock_for_writing, unlock


def test_a_second_writer_is_told_who_the_first_is(tmp_path):
    for path in (tmp_path, tmp_path / "new" / "file"):
        lock = lock_for_writing(path)
        with pytest.raises(UserError) as error:
            lock_for_writing(path)
        assert str(error.value).startswith(f"{path}: another process is writing this (process ")
        assert f"(process {os.getpid()} on " in str(error.value)
        unlock(lock)
        unlock(lock_for_writing(path))


def test_a_killed_writer_holds_nothing(tmp_path):
    code = "import os, sys; from pathlib import Path; from duomem_jax.base.lock import *"
    code += "; lock_for_writing(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    assert killed.returncode == -9
    assert (tmp_path / ".lock").exists()
    unlock(lock_for_writing(tmp_path))
    assert not any(tmp_path.iterdir())


def test_names_that_lose_their_letters_keep_files_apart():
    assert slug("LoRA, logits + memory") == "lora-logits-memory"
    names = ["教师", "学生", "c++", "c", "a" * 300, "a" * 299 + "b", "../x", "", "É", "E"]
    assert len({slug(name) for name in names}) == len(names)
    assert all(len(slug(name)) < 100 for name in names)
