"""Files and folders that appear whole or not at all."""

import errno
import os

import pytest

from duomem_jax.base.disk import explain_full_disk
from duomem_jax.base.errors import UserError
from duomem_jax.base.io import atomic_dir, atomic_write_bytes, atomic_write_text, clear_os_errors


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield
    os.umask(before)


def mode(path):
    return path.stat().st_mode & 0o777


def test_written_files_and_folders_follow_the_umask(tmp_path, umask):
    atomic_write_text(tmp_path / "file", "x")
    with atomic_dir(tmp_path / "folder") as folder:
        (folder / "inside").write_text("x")
    (tmp_path / "plain").write_text("x")
    (tmp_path / "plain folder").mkdir()
    assert mode(tmp_path / "file") == mode(tmp_path / "plain") == 0o640
    assert mode(tmp_path / "folder") == mode(tmp_path / "plain folder") == 0o750


def test_an_interrupted_write_changes_nothing(tmp_path):
    atomic_write_text(tmp_path / "file", "old")
    with pytest.raises(TypeError):
        atomic_write_bytes(tmp_path / "file", 3)
    with pytest.raises(ZeroDivisionError), atomic_dir(tmp_path / "folder") as folder:
        (folder / "half").write_text(str(1 / 0))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("write() failed: No space left on device; writing x; at byte 0"),
        ValueError("RESOURCE_EXHAUSTED: writing"),
    ],
)
def test_every_shape_of_a_full_disk_is_the_same_sentence(tmp_path, error):
    sentence = f"{tmp_path}: the disk is full; free some space and run the same command again"
    for explain in (explain_full_disk, clear_os_errors):
        with pytest.raises(UserError) as caught, explain(tmp_path / "outer"), explain(tmp_path):
            raise error
        assert str(caught.value) == sentence
    with pytest.raises(UserError) as caught, explain_full_disk(tmp_path):
        raise KeyError("checkpoint") from error
    assert str(caught.value) == sentence


def test_a_missing_permission_is_a_sentence_and_other_errors_stay(tmp_path):
    with pytest.raises(UserError, match="not writable; choose another"), clear_os_errors(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied")
    for explain in (explain_full_disk, clear_os_errors):
        with pytest.raises(KeyError), explain(tmp_path):
            raise KeyError("x")
