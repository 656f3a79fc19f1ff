"""What is shown of a folder is what it holds."""

import dataclasses
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from duomem_jax.agents.player import Player
from duomem_jax.base.errors import UserError
from duomem_jax.models.shipped import model_folder
from duomem_jax.records.played import read_episodes
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.records.talked import read_dialogues
from duomem_jax.report.page import Block, Frame, dialogue_frames, episode_frames, write_page
from duomem_jax.report.show import Which
from duomem_jax.stages import (
    demonstrations,
    dialogues,
    evaluate,
    examples,
    generate,
    memories,
    play,
    show,
)
from duomem_jax.text.tokenizer import load_tokenizer
from duomem_jax.worlds.games import Games

GAMES = 3


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """What the expert played and what comes of it, and a dialogue."""
    root = tmp_path_factory.mktemp("show")
    generate(str(root / "games"), count=GAMES, seed=4)
    games, expert = Games(str(root / "games")), Player("expert", "expert")
    play(str(root / "episodes"), games, expert)
    memories(str(root / "memories"), str(root / "episodes"))
    examples(str(root / "rows"), "tiny-student", str(root / "episodes"))
    evaluate(str(root / "results"), games, expert)
    dialogues(str(root / "dialogues"), count=1, seed=3)
    demonstrations(str(root / "extract"), str(root / "dialogues"), "extract")
    return root


def flat(text):
    """Without what only sets lines in or breaks them."""
    return " ".join(text.split())


def test_an_episode_is_shown_whole(root):
    first = read_episodes(root / "episodes")[0]
    text = flat(show(str(root / "episodes")))
    said = [part for turn in first.turns for part in (turn.observation, f"> {turn.action}")]
    at = 0
    for part in (*said, first.final_observation):
        at = text.index(flat(part), at)
    assert re.search(rf"{GAMES} episodes \(\d+ turns, {GAMES} won\)", text)
    assert f"{first.game_id}, seed 0: won by expert" in text


def test_records_are_picked_by_number_or_by_name(root):
    folder, games = str(root / "episodes"), [e.game_id for e in read_episodes(root / "episodes")]
    assert [game for game in games if game in show(folder, Which(1, 2))] == games[1:3]
    assert [game for game in games if game in show(folder, Which(name=games[2]))] == games[2:]
    with pytest.raises(UserError, match=f"no record from {GAMES} on; there are {GAMES}"):
        show(folder, Which(GAMES))
    with pytest.raises(UserError, match="no record named 'nothing like it'"):
        show(folder, Which(name="nothing like it"))


def test_memories_are_shown_with_their_use(root):
    text = show(str(root / "memories"), Which(limit=GAMES))
    for record in read_dataset(root / "memories", "train"):
        assert flat(record["text"]) in flat(text)
        assert f"task: {record['key']}" in text
    assert text.count("shown 0 times") == GAMES


def test_rows_mark_what_carries_loss(root):
    tokenizer = load_tokenizer(model_folder("tiny-student"))
    row = read_dataset(root / "rows", "train")[0]
    text = show(str(root / "rows"), tokenizer="tiny-student")
    marked = "".join(re.findall("\u2039(.*?)\u203a", text, re.S))
    learnt = tokenizer.decode(row["tokens"][row["loss_mask"] > 0])
    assert re.sub(r"\s", "", marked) == re.sub(r"\s", "", learnt)
    assert f"{int((row['segment_ids'] == 1).sum())} tokens" in text
    ids = show(str(root / "rows"))
    assert " ".join(map(str, row["tokens"][:5])) in ids


def test_a_dialogue_is_shown_with_what_is_known_of_it(root):
    (dialogue,) = read_dialogues(root / "dialogues")
    text = flat(show(str(root / "dialogues")))
    for _, turn in dialogue.turns():
        assert flat(f"{turn.id} {turn.speaker}: {turn.said}") in text
    for fact in dialogue.facts:
        assert flat(f"noted: {fact.text}") in text
    for question in dialogue.questions:
        assert flat(question.text) in text


def test_demonstrations_are_shown_as_chats(root):
    text = show(str(root / "extract"))
    record = read_dataset(root / "extract", "train")[0]
    assert all(flat(content) in flat(text) for content in record["messages"]["content"])
    assert "assistant:" in text


def test_results_and_reports_are_shown(root):
    assert show(str(root / "results")) == (root / "results/report.md").read_text()
    text = show(str(root / "results/expert.seed0.sqlite"))
    assert f"{GAMES} rows" in text
    assert "success: 1.0" in text


def test_models_are_described(root):
    assert "model_type: qwen3" in show(str(model_folder("tiny-student")))


def test_games_are_counted_by_kind(root):
    assert re.search(rf"games: {GAMES} games \(\d+ \w+", show(str(root / "games")))


@pytest.mark.parametrize("what", ["", "nowhere"])
def test_what_cannot_be_shown_is_refused(root, what):
    with pytest.raises(UserError, match="which cannot be shown"):
        show(str(root / what))


class Texts(HTMLParser):
    """The text of each element of a class, and all addresses."""

    def __init__(self, page):
        super().__init__()
        self.texts, self.addresses, self._inside = [], [], 0
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.addresses += [attrs[name] for name in ("src", "href") if name in attrs]
        if self._inside or "block" in (attrs.get("class") or "").split():
            if not self._inside:
                self.texts.append("")
            self._inside += tag == "div"

    def handle_endtag(self, tag):
        self._inside -= bool(self._inside) and tag == "div"

    def handle_data(self, data):
        if self._inside:
            self.texts[-1] += data


def test_an_episode_is_played_again_on_a_page(root, tmp_path):
    said = show(str(root / "episodes"), html=str(tmp_path / "page.html"))
    page = Texts((tmp_path / "page.html").read_text())
    first = read_episodes(root / "episodes")[0]
    assert f"{len(first.turns) + 1} steps" in said
    wanted = [part for t in first.turns for part in (t.observation, t.thought, t.action) if part]
    assert len(page.texts) == len(wanted) + 2
    for text, part in zip(page.texts, wanted, strict=False):
        assert text.endswith(part)
    assert page.addresses == []
    with pytest.raises(UserError, match=r"page\.html"):
        show(str(root / "episodes"), html=str(tmp_path / "page.html"))


def test_memories_stand_on_the_page_of_an_episode(root, tmp_path):
    memory = read_dataset(root / "memories", "train")[0]
    episode = dataclasses.replace(read_episodes(root / "episodes")[0], memory_ids=(memory["id"],))
    (frame, *_) = episode_frames(episode, {memory["id"]: memory["text"]})
    assert [block.text for block in frame.blocks] == [memory["text"]]


def test_a_dialogue_is_played_again_and_facts_appear_when_they_are_known(root, tmp_path):
    show(str(root / "dialogues"), html=str(tmp_path / "page.html"))
    (dialogue,) = read_dialogues(root / "dialogues")
    frames = list(dialogue_frames(dialogue))
    turns = [turn for _, turn in dialogue.turns()]
    for turn, frame in zip(turns, frames, strict=False):
        assert frame.blocks[0].text == turn.said
        known = [fact.text for fact in dialogue.facts if fact.evidence[-1] == turn.id]
        assert [block.text for block in frame.blocks[1:]] == known
    assert len(frames) == len(turns) + len(dialogue.questions)


def test_what_others_said_is_text_on_a_page(tmp_path):
    hostile = "</div></script><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}"
    frames = [Frame((Block("seen", hostile, hostile),))]
    write_page(tmp_path / "page.html", hostile, frames)
    page = (tmp_path / "page.html").read_text()
    assert page.count("<script>") == 1
    assert Texts(page).addresses == []
    assert Texts(page).texts == [hostile * 2]


def test_a_page_is_made_of_nothing_else(root, tmp_path):
    with pytest.raises(UserError, match="holds memories; a page is made of"):
        show(str(root / "memories"), html=str(tmp_path / "page.html"))
    assert not (tmp_path / "page.html").exists()


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_json_has_records_as_they_are_stored(root):
    for name in ("episodes", "memories", "dialogues", "extract", "rows"):
        found = lines(show(str(root / name), Which(limit=100), json=True))
        stored = list(read_dataset(root / name, "train"))
        assert len(found) == len(stored)
        for one, other in zip(found, stored, strict=True):
            assert one.keys() == other.keys()
            for field, value in other.items():
                np.testing.assert_equal(one[field], getattr(value, "tolist", lambda v=value: v)())
    (file,) = (root / "results").glob("*.sqlite")
    wins = lines(show(str(file), Which(limit=100), json=True))
    assert {row["item"] for row in wins} == {e.game_id for e in read_episodes(root / "episodes")}
    assert all(row["scores"]["success"] == 1 for row in wins)


def test_json_of_what_is_no_dataset_is_one_line(root):
    (games,) = lines(show(str(root / "games"), json=True))
    assert sum(games.values()) == GAMES
    (report,) = lines(show(str(root / "results"), json=True))
    assert [subject["subject"] for subject in report["subjects"]] == ["expert"]
    (model,) = lines(show(str(model_folder("tiny-student")), json=True))
    assert model["model_type"] == "qwen3"
    with pytest.raises(UserError, match="give either html or json"):
        show(str(root / "games"), html="page.html", json=True)
