"""Reading games: layouts, laziness, and files that are broken in every way."""

import json
import lzma
from dataclasses import replace
from pathlib import Path

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.worlds.household.engine.fast import FastEngine
from duomem_jax.worlds.household.load import load_games
from duomem_jax.worlds.household.textworld import game_json

GRAMMAR = (
    'grammar :: """{"task": [{"rhs": "Your task is to: UNKNOWN GOAL."}]}""";'
    'action PutObject { template :: "move {o} to {r}"; }'
)
TASKS = (
    "pick_clean_then_place_in_recep-Mug-None-Fridge-1",
    "look_at_obj_in_light-Pen-None-DeskLamp-301",
)


def write(folder: Path, game, *, traj: bool = True) -> Path:
    folder.mkdir(parents=True)
    file = folder / "game.tw-pddl"
    file.write_text(game_json(game, ("(define (domain alfred))", GRAMMAR)))
    if traj:
        task_type = folder.parent.name.partition("-")[0]
        (folder / "traj_data.json").write_text(json.dumps({"task_type": task_type}))
    return file


@pytest.fixture
def tree(tmp_path, make_room):
    """A small `json_2.1.1`: two splits, two tasks, and games that do not count."""
    root = tmp_path / "json_2.1.1"
    for split in ("train", "valid_seen"):
        for k, task in enumerate(TASKS):
            write(root / split / task / f"trial_{k}", make_room(), traj=k == 0)
    write(root / "train" / "pick_and_place_with_movable_recep-Mug-Box-Bed-1" / "t", make_room())
    write(root / "train" / "pick_and_place_simple-AppleSliced-None-Bed-1" / "t", make_room())
    hopeless = write(root / "train" / "pick_and_place_simple-Mug-None-Bed-1" / "t", make_room())
    hopeless.write_text(hopeless.read_text().replace('"solvable": true', '"solvable": false'))
    return root


@pytest.fixture
def packed(tmp_path, make_room):
    """A folder of `<split>.jsonl.xz` with other rows beside them."""
    folder = tmp_path / "packed"
    folder.mkdir()
    for split in ("train", "valid_seen"):
        rows = []
        for k, task in enumerate(TASKS):
            game = make_room()
            row = {"id": f"{split}/{task}/trial_{k}", "task": game.text}
            row |= {"walkthrough": game.walkthrough, "pddl_problem": game.pddl_problem}
            rows.append(json.dumps(row) + "\n")
        (folder / f"{split}.jsonl.xz").write_bytes(lzma.compress("".join(rows).encode()))
    (folder / "manifest.jsonl").write_text('{"id": "train/x"}\n')
    return folder


def test_tree_and_packed_form_give_the_same_games(tree, packed):
    from_tree, from_packed = load_games(tree), load_games(packed)
    assert sorted(from_tree, key=lambda g: g.id) == sorted(from_packed, key=lambda g: g.id)
    assert len(from_tree) == 4
    assert {g.kind for g in from_tree} == {task.partition("-")[0] for task in TASKS}
    assert all(g.text == "put a clean mug in fridge." for g in from_tree)
    assert all(g.file is not None and g.file.endswith("game.tw-pddl") for g in from_tree)


@pytest.mark.parametrize("form", ["tree", "packed"])
def test_split_limit_and_slices(form, request):
    path = request.getfixturevalue(form)
    games = load_games(path, split="valid_seen")
    assert [g.id.partition("/")[0] for g in games] == ["valid_seen"] * 2
    assert [g.id for g in load_games(path, limit=3)] == [g.id for g in load_games(path)[:3]]
    assert games[-1] == list(games)[-1]
    with pytest.raises(UserError, match=r"no split 'test'.*train"):
        load_games(path, split="test")


def test_ids_are_the_same_from_a_split_folder_or_a_file(tree):
    ids = [g.id for g in load_games(tree, split="train")]
    assert [g.id for g in load_games(tree / "train")] == ids
    file = load_games(tree, split="train")[0].file
    assert load_games(file)[0].id == ids[0]


def test_a_single_file_of_rows(packed):
    assert len(load_games(packed / "train.jsonl.xz")) == 2
    with pytest.raises(UserError, match="has no split"):
        load_games(packed / "train.jsonl.xz", split="train")


def test_games_are_read_only_when_asked_for(tree):
    games = load_games(tree, split="train")
    Path(games[1].file).write_text("{")
    FastEngine(games[0])  # the other one is not touched
    with pytest.raises(UserError, match=r"game\.tw-pddl"):
        games[1]


def drop(field):
    def change(text):
        data = json.loads(text)
        del data[field]
        return json.dumps(data)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "not complete JSON"),
        (lambda text: "", "not complete JSON"),
        (lambda text: "<html>not found</html>", "not complete JSON"),
        (lambda text: "[]", "not a JSON object"),
        (drop("pddl_problem"), "field pddl_problem is missing"),
        (drop("grammar"), "field grammar is missing"),
        (lambda text: text.replace("(:goal", "(:gaol"), r"no \(:goal section"),
        (lambda text: text.replace("Your task is to", "Your job is to"), "states no"),
        (lambda text: text.replace("move {o} to {r}", "put {o} in/on {r}"), "older than ALFWorld"),
        (lambda text: text.replace('"walkthrough": [', '"walkthrough": [1, '), "field walkthrough"),
    ],
)
def test_broken_file_is_named_or_skipped(tree, change, message):
    file = Path(load_games(tree, split="train")[0].file)
    file.write_text(change(file.read_text()))
    with pytest.raises(UserError, match=message) as error:
        list(load_games(tree, split="train"))
    assert str(file) in str(error.value)
    games = load_games(tree, split="train", on_error="skip")
    assert len(list(games)) == len(games) == 1
    assert len(games.skipped) == 1
    assert str(file) in games.skipped[0]


def test_bytes_that_are_no_text_are_named(tree):
    file = Path(load_games(tree, split="train")[0].file)
    file.write_bytes(b"\xff\xfe\x00rubbish")
    with pytest.raises(UserError, match="not complete JSON"):
        load_games(tree, split="train")[0]


def test_unknown_task_type_is_named(tree):
    game = load_games(tree, split="train")[1]
    traj = Path(game.file).with_name("traj_data.json")
    traj.write_text('{"task_type": "juggle"}')
    with pytest.raises(UserError, match=r"traj_data.json: field task_type is 'juggle'"):
        load_games(tree, split="train")[1]


def test_broken_rows_are_named_with_their_line(packed):
    file = packed / "train.jsonl"
    lines = lzma.decompress((packed / "train.jsonl.xz").read_bytes()).decode().splitlines()
    file.write_text(lines[0] + "\n" + lines[1][:300] + "\n")
    with pytest.raises(UserError, match=r"train\.jsonl, line 2: not complete JSON"):
        list(load_games(file))
    assert len(load_games(file, on_error="skip")) == 1


def test_cut_archive_is_named(packed):
    file = packed / "train.jsonl.xz"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"train\.jsonl\.xz: cannot be read to its end"):
        load_games(file)


def test_empty_and_missing_places_are_named(tmp_path):
    with pytest.raises(UserError, match="no game found"):
        load_games(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        load_games(tmp_path / "nowhere")


def test_a_task_with_signs_survives_the_file(tmp_path, make_room):
    game = replace(make_room(), text='put the "big" mug \\ in fridge.')
    folder = tmp_path / TASKS[0] / "trial_1"
    write(folder, game)
    assert load_games(tmp_path)[0].text == game.text


def test_real_games_have_their_types_and_tasks(real_games_dir):
    games = load_games(real_games_dir, split="valid_seen")
    assert len(games) == 140
    kinds = [game.kind for game in games]
    assert kinds.count("pick_and_place_simple") == 35
    assert kinds.count("pick_two_obj_and_place") == 24
    assert len(load_games(real_games_dir, limit=3)) == 3
