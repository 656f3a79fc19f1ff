"""Made-up tasks: what a lesson asks for stands in its advice, and it is done in a real room."""

import dataclasses
import json

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.records.demonstrations import demonstration_from_record
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.records.store.spec import DEMONSTRATIONS, SPLIT
from duomem_jax.stages import Examples, Lessons, examples, generate, lessons
from duomem_jax.worlds.games import Games
from duomem_jax.worlds.household.engine.fast import FastEngine
from duomem_jax.worlds.household.expert.observation import task_sentence
from duomem_jax.worlds.household.generate import generate_games
from duomem_jax.worlds.household.made_up.lessons import MadeUp
from duomem_jax.worlds.household.sentences import TREATMENTS, parse_goal
from duomem_jax.worlds.household.textworld import TextWorldEnv


@pytest.fixture(scope="module")
def games():
    return list(generate_games(40, 5))


@pytest.fixture(scope="module")
def school(games):
    return MadeUp(games, 0)


def test_advice_names_the_words_of_the_task_and_the_steps_that_were_done(school):
    for i in range(20):
        lesson = school.lesson(i)
        task = task_sentence(lesson.turns[0].observation)
        assert parse_goal(task) is None
        first = task.split()[0]
        (script, *_) = [a.script for a in lesson.advice if a.task.split()[0] == first]
        done = " ".join(turn.action for turn in lesson.turns)
        for verb in ("clean it", "heat it", "cool it"):
            assert (verb in script) == (f"{verb.split()[0]} " in done), (script, done)


def test_lessons_are_possible_in_the_real_engine(games, school):
    pytest.importorskip("textworld", reason="ALFWorld's own engine is not installed")
    # Ours tells in which rooms a lesson may be: the real one takes seconds to begin a game.
    rooms = [_room(FastEngine(game).reset()) for game in games]
    for i in range(5):
        turns = school.lesson(i).turns
        # It does not say in which of two equal rooms it is.
        there = _room(turns[0].observation)
        alike = [game for game, room in zip(games, rooms, strict=True) if room == there]
        assert any(_answers_as_told(TextWorldEnv(game), turns) for game in alike)


def _room(observation):
    return observation.split("Your task")[0]


def _answers_as_told(world, turns):
    world.reset()
    answers = [world.step(turn.action)[0] for turn in turns[:-1]]
    return answers == [turn.observation for turn in turns[1:]]


def test_a_kind_that_is_left_out_is_in_no_lesson(games):
    cool = next(t for t, treatment in TREATMENTS.items() if treatment.verb == "cool")
    with_it, without = (MadeUp(games, 0, without=kind) for kind in ("", cool))
    both = [json.dumps([x.lesson(i) for i in range(40)], default=vars) for x in (with_it, without)]
    assert ["cool it" in text for text in both] == [True, False]
    assert "heat it" in both[1]


def test_a_receptacle_that_is_left_out_is_the_goal_of_no_lesson(games):
    with_it, without = (MadeUp(games, 0, without=what) for what in ("", "drawer"))
    both = [json.dumps([x.lesson(i) for i in range(60)], default=vars) for x in (with_it, without)]
    assert ["put it in a drawer" in text for text in both] == [True, False]
    assert "put it in a shelf" in both[1]


def test_tasks_are_told_by_their_kind_or_by_the_receptacle_that_is_their_goal(tmp_path):
    generate(str(tmp_path / "games"), count=40, seed=5)
    games = Games(str(tmp_path / "games"))
    tasks = {task.id: task for task in games.load()}
    for name, words in (("drawer", "drawer."), ("cool", "cool")):
        told = games.about(name)
        assert 0 < len(told) < len(tasks)
        assert told == {i for i, task in tasks.items() if words in task.text.split()}
    with pytest.raises(UserError, match="no tasks are about 'drawers'; name a kind of tasks"):
        games.about("drawers")


def test_a_lesson_depends_on_its_number_and_the_seed_alone(games, school):
    assert MadeUp(games, 0).lesson(7) == school.lesson(7)
    assert MadeUp(games, 1).lesson(7) != school.lesson(7)


def test_lessons_are_learnt_beside_episodes(tmp_path, played):
    generate(str(tmp_path / "games"), count=8, seed=3)
    games = Games(str(tmp_path / "games"))
    how = Lessons(count=5, system="Read.")
    lessons(str(tmp_path / "lessons"), games, how)
    stored = read_dataset(tmp_path / "lessons", SPLIT, DEMONSTRATIONS)
    chats = [demonstration_from_record(record).messages for record in stored]
    assert {chat[0]["content"] for chat in chats} == {"Read."}
    assert all("guidelines" in chat[1]["content"] for chat in chats)
    with pytest.raises(UserError, match="count=5"):
        lessons(str(tmp_path / "lessons"), games, dataclasses.replace(how, count=6))
    episodes, bank = str(played / "episodes"), str(played / "memories")
    report = examples(
        str(tmp_path / "rows"),
        "tiny-student",
        episodes,
        (str(tmp_path / "lessons"),),
        bank,
        how=Examples(system="Read.", memory_share=1.0),
    )
    alone = examples(str(tmp_path / "alone"), "tiny-student", episodes, memory=bank)
    assert report.counts["examples"] == alone.counts["examples"] + len(chats)
