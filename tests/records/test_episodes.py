import dataclasses

import pytest
from chats import make_episode

from duomem_jax.base.errors import UserError
from duomem_jax.records.episodes import (
    EPISODE_LAYOUT,
    Episode,
    EpisodeReader,
    episode_from_record,
    episode_to_record,
)
from duomem_jax.records.played import read_episodes
from duomem_jax.records.store.write import DatasetSpec, ShardWriter


def test_records_and_episodes_are_the_same(episodes):
    assert [episode_from_record(episode_to_record(e)) for e in episodes] == episodes
    assert EPISODE_LAYOUT.keys() == {f.name for f in dataclasses.fields(Episode)}


def test_turns_that_were_stored_before_there_was_a_choice_are_learnt():
    record = episode_to_record(make_episode(1))
    for turn in record["turns"]:
        del turn["learnt"]
    assert episode_from_record(record) == make_episode(1)


@pytest.mark.parametrize(("score", "success"), [(0.0, False), (0.99, False), (1.0, True)])
def test_success_is_the_full_score(score, success):
    assert dataclasses.replace(make_episode(1), score=score).success is success


def test_episodes_of_an_older_version_are_refused(tmp_path):
    old = {k: v for k, v in EPISODE_LAYOUT.items() if k != "score"} | {"success": "bool"}
    record = episode_to_record(make_episode(1))
    record["success"] = record.pop("score") == 1.0
    with ShardWriter(tmp_path, DatasetSpec("episodes", old)) as writer:
        writer.add("0", [record])
        writer.finish()
    with pytest.raises(UserError, match=rf"{tmp_path}: episodes of an older.*score; play them"):
        read_episodes(tmp_path)


def test_a_reader_of_no_files_is_empty():
    assert list(EpisodeReader([])) == []


def test_a_folder_in_the_place_of_records_is_a_mistake_at_once(tmp_path):
    with pytest.raises(TypeError, match="call `read_episodes` with a folder"):
        EpisodeReader(tmp_path)
