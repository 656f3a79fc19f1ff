"""Slots and lengths by the memory that is there; what cannot fit is told before it is loaded."""

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.mesh import memory
from duomem_jax.models.config import ModelConfig
from duomem_jax.speak import room as rooms
from duomem_jax.speak.open import Local, load_speaker, speaker_identity
from duomem_jax.speak.protocol import Sampling
from duomem_jax.speak.room import Room

MIB = 2**20
# Of SmolLM2-135M: a token has 46,080 bytes, weights 513 MiB.
SMOL = ModelConfig("llama", 49152, 576, 30, 9, 3, 64, 1536, max_len=8192, qk_norm=False)
TOKEN = 2 * 3 * 64 * 30 * 4


@pytest.fixture
def free(monkeypatch):
    """Sets the free memory, in MiB, and the rows of a call."""
    monkeypatch.setattr(rooms, "rows_of_a_call", lambda: 8)
    return lambda mib: monkeypatch.setattr(
        memory, "free_memory", lambda: None if mib is None else mib * MIB
    )


def test_with_enough_memory_all_is_as_usual(free, caplog):
    free(24_000)
    caplog.set_level("INFO")
    room = Room.beside("smol", SMOL, "", 0)
    assert (room.max_len, room.short, room.slots()) == (8192, False, 32)
    # 8 rows of pages of 128 tokens for 256 of them; 32 rows and the 8 of a call at most.
    start, most = 16 * 128 * TOKEN, 40 * 8192 * TOKEN
    assert (
        f"the cache starts at {start / MIB:,.0f} MiB and may grow to {most / MIB:,.0f} MiB of"
        in (caplog.text)
    )


def test_fewer_conversations_where_memory_is_short(free):
    free(8_000)
    room = Room.beside("smol", SMOL, "", 0)
    slots = room.slots()
    assert room.max_len == 8192
    assert 1 < slots < 32
    assert room.most(slots) <= room.free < room.most(slots + 1)
    with pytest.raises(UserError, match=rf"64 conversations .* lower slots to {slots}"):
        room.slots(64)
    assert room.slots(slots) == slots
    assert room.slots(usual=2) == 2


def test_then_shorter_ones(free):
    free(1_300)
    room = Room.beside("smol", SMOL, "", 0)
    assert (room.max_len, room.short, room.slots()) == (4096, True, 1)
    with pytest.raises(UserError, match=r"smol: its weights take 513 MiB in float32, .*8,192"):
        Room.beside("smol", SMOL, "", 8192)
    assert Room.beside("smol", SMOL, "", 2048).slots() > 1


def test_then_none(free):
    free(700)
    with pytest.raises(UserError, match=r"560 MiB of memory may be used; give dtype bfloat16"):
        Room.beside("smol", SMOL, "", 0)
    # 8 bits a kernel leave room for it; the table stays in full precision.
    room = Room.beside("smol", SMOL, "int8", 0)
    assert (room.max_len, room.slots()) == (2048, 1)
    assert 0 < room.free < 560 * MIB - 49152 * 576 * 4


def test_a_device_that_does_not_say_is_not_doubted(free):
    free(None)
    room = Room.beside("smol", SMOL, "", 0)
    assert (room.max_len, room.slots(), room.slots(500)) == (8192, 32, 500)


def test_a_model_that_cannot_fit_is_refused_before_it_is_loaded(free, monkeypatch):
    free(1)
    monkeypatch.setattr("duomem_jax.lora.open.open_model", None)
    with pytest.raises(UserError, match="tiny-student: its weights take 3 MiB"):
        load_speaker("tiny-student")


def test_a_length_that_memory_shortens_is_another_player(free):
    usual = speaker_identity("tiny-student")
    free(12)
    assert speaker_identity("tiny-student") == usual | {"max_len": 1024}
    speaker = load_speaker("tiny-student")
    assert speaker.identity() == usual | {"max_len": 1024}
    assert speaker.conversations(None, Sampling(8)).slots == 1


def test_the_identity_of_a_model_with_plenty_of_memory_asks_for_no_shapes(monkeypatch):
    monkeypatch.setattr(Room, "beside", None)
    assert speaker_identity("tiny-student")["max_len"] == 0


def test_what_the_user_wants_is_kept(free):
    free(8_000)
    speaker = load_speaker("tiny-student", Local(max_len=512))
    assert speaker.conversations(3, Sampling(8)).slots == 3
