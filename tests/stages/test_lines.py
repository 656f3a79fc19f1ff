"""Data of others comes in, and goes out again as it came."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from seeing import made_up

from duomem_jax import cli
from duomem_jax.agents.player import Player
from duomem_jax.base.errors import UserError
from duomem_jax.records.pictures import Gathered, PictureFolder
from duomem_jax.records.played import read_episodes
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.records.talked import read_dialogues
from duomem_jax.stages import dialogues, dump, examples, generate, import_, play
from duomem_jax.text.turns import episode_messages
from duomem_jax.worlds.games import Games

GUESS = {
    "id": "guess-1",
    "task": "find the number",
    "turns": [
        {"observation": "Find my number.", "action": "5", "thought": "The middle."},
        {"observation": "Less.", "action": "3"},
    ],
    "final_observation": "Right.",
}
TALK = {
    "id": "ann-ben",
    "speakers": ["Ann", "Ben"],
    "sessions": [
        {
            "at": "2024-05-01T14:00:00+02:00",
            "turns": [
                {"speaker": "Ann", "text": "I moved to Nice."},
                {"speaker": "Ben", "text": "Nice!", "id": "b"},
            ],
        }
    ],
    "questions": [
        {
            "text": "Where does Ann live?",
            "kind": "single-hop",
            "answer": "Nice",
            "evidence": ["D1:1"],
        }
    ],
}
CHAT = {"messages": [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]}
SHOWN = {"type": "image", "path": "in.jsonl"}  # any file: what is in it, the tower asks
LINES = {"episodes": GUESS, "dialogues": TALK, "chats": CHAT}


def write(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n\n" for line in lines))
    return str(path)


def with_value(line, place, value):
    """A copy of a line with another value at a place such as `turns.0.action`."""
    line = json.loads(json.dumps(line))
    *way, last = (int(name) if name.isdigit() else name for name in place.split("."))
    at = line
    for name in way:
        at = at[name]
    at[last] = value
    return line


def test_episodes_of_another_agent_are_learnt_from(tmp_path):
    file = write(tmp_path / "in.jsonl", GUESS, GUESS | {"id": "guess-2", "score": 0.0})
    import_(str(tmp_path / "episodes"), file, "episodes")
    first, second = read_episodes(tmp_path / "episodes")
    assert [t.action for t in first.turns] == ["5", "3"]
    assert (first.success, second.success) == (True, False)
    assert first.turns[0].thought == "The middle."
    report = examples(str(tmp_path / "rows"), "tiny-student", str(tmp_path / "episodes"))
    assert report.counts["examples"] == 1


@pytest.mark.parametrize(
    ("kind", "place"), [("episodes", "turns.0.weight"), ("chats", "messages.1.weight")]
)
def test_replies_of_weight_0_are_read_and_not_learnt(tmp_path, kind, place):
    light = with_value(LINES[kind], place, 0)
    # Beside one that is learnt: a file without any would give no row.
    other = LINES[kind] if kind == "chats" else GUESS | {"id": "other"}
    folder, rows = str(tmp_path / kind), str(tmp_path / "rows")
    import_(folder, write(tmp_path / "in.jsonl", light, other), kind)
    source = {"episodes": folder} if kind == "episodes" else {"demonstrations": (folder,)}
    examples(rows, "tiny-student", **source)
    (row,) = read_dataset(rows, "train")
    loss = [row["loss_mask"][row["segment_ids"] == segment].sum() for segment in (1, 2)]
    assert min(loss) < max(loss)
    assert (min(loss) == 0) == (kind == "chats")  # the episode has a second turn
    dump(folder, str(tmp_path / "out.jsonl"))
    first, second = (tmp_path / "out.jsonl").read_text().splitlines()
    assert '"weight": 0' in first
    assert '"weight": 0' not in second


def test_what_was_played_comes_back_as_it_was(tmp_path):
    generate(str(tmp_path / "games"), count=2, seed=5)
    play(str(tmp_path / "a"), Games(str(tmp_path / "games")), Player("expert", "expert"))
    dump(str(tmp_path / "a"), str(tmp_path / "a.jsonl"))
    import_(str(tmp_path / "b"), str(tmp_path / "a.jsonl"), "episodes")
    for mine, theirs in zip(
        read_episodes(tmp_path / "b"), read_episodes(tmp_path / "a"), strict=True
    ):
        assert vars(mine) | {"version": ""} == vars(theirs) | {"version": ""}
    dump(str(tmp_path / "a"), str(tmp_path / "chats.jsonl"), chats=True)
    lines = (tmp_path / "chats.jsonl").read_text().splitlines()
    chats = [json.loads(line)["messages"] for line in lines]
    assert chats == [episode_messages(e) for e in read_episodes(tmp_path / "a")]


def test_dialogues_come_back_as_they_were(tmp_path):
    dialogues(str(tmp_path / "a"), count=3, seed=5)
    dump(str(tmp_path / "a"), str(tmp_path / "a.jsonl"))
    import_(str(tmp_path / "b"), str(tmp_path / "a.jsonl"), "dialogues")
    assert list(read_dialogues(tmp_path / "b")) == list(read_dialogues(tmp_path / "a"))


def test_shared_pictures_come_back_as_they_were(tmp_path):
    dialogues(str(tmp_path / "a"), count=2, seed=5, pictures=2)
    (tmp_path / "lines").mkdir()
    dump(str(tmp_path / "a"), str(tmp_path / "lines/a.jsonl"))
    import_(str(tmp_path / "b"), str(tmp_path / "lines/a.jsonl"), "dialogues")
    assert list(read_dialogues(tmp_path / "b")) == list(read_dialogues(tmp_path / "a"))
    kept = [sorted(f.read_bytes() for f in (tmp_path / x / "pictures").iterdir()) for x in "ab"]
    assert len(kept[0]) == 4
    assert kept[0] == kept[1]


def test_a_picture_of_ones_own_is_kept_by_its_content(tmp_path):
    (tmp_path / "lines").mkdir()
    made_up().save(tmp_path / "own.jpg")
    data = (tmp_path / "own.jpg").read_bytes()
    two = with_value(TALK, "sessions.0.turns.0.picture", "../own.jpg")
    two = with_value(two, "sessions.0.turns.1.picture", (tmp_path / "own.jpg").as_uri())
    file = write(tmp_path / "lines/in.jsonl", two, TALK | {"id": "other"})
    import_(str(tmp_path / "talks"), file, "dialogues")
    own, other = read_dialogues(tmp_path / "talks")
    name = hashlib.sha256(data).hexdigest()
    assert own.pictures() == [name, name]
    assert other.pictures() == []
    (kept,) = (tmp_path / "talks/pictures").iterdir()
    assert (kept.name, kept.read_bytes()) == (name, data)


def test_lines_whose_pictures_were_replaced_are_not_taken_for_the_same(tmp_path):
    made_up().save(tmp_path / "own.png")
    file = write(tmp_path / "in.jsonl", with_value(TALK, "sessions.0.turns.0.picture", "own.png"))
    import_(str(tmp_path / "talks"), file, "dialogues")
    made_up().rotate(180).save(tmp_path / "own.png")
    with pytest.raises(UserError, match=r"pictures=.*choose another output folder"):
        import_(str(tmp_path / "talks"), file, "dialogues")
    assert len(list((tmp_path / "talks/pictures").iterdir())) == 1


def test_a_picture_that_changes_while_it_is_imported_is_refused(tmp_path):
    made_up().save(tmp_path / "own.png")
    gathered = Gathered()
    name = gathered.look(tmp_path / "own.png")
    for spoil in (lambda f: f.write_bytes(b"other"), lambda f: f.unlink()):
        spoil(tmp_path / "own.png")
        with pytest.raises(UserError, match=r"own\.png: has changed meanwhile"):
            gathered.keep([name], PictureFolder(tmp_path / "pictures"))
    assert not (tmp_path / "pictures").exists()


def test_a_picture_that_is_lost_is_not_dumped(tmp_path):
    dialogues(str(tmp_path / "a"), count=1, seed=5, pictures=1)
    (picture,) = (tmp_path / "a/pictures").iterdir()
    picture.unlink()
    with pytest.raises(UserError, match="no such picture; copy it there"):
        dump(str(tmp_path / "a"), str(tmp_path / "a.jsonl"))
    assert not (tmp_path / "a.jsonl").exists()


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        ("https://x/y.png", "shows https://x/y.png, which is no file; save the picture"),
        ("data:image/png;base64,AA", "is no file; save the picture"),
        ("none.png", r"shows .*none\.png: cannot be read"),
        ("a\0", "cannot be read"),
        (".", "is no file"),
        ("in.jsonl", "is no picture that can be read; save it as one of"),
    ],
)
def test_a_picture_that_is_none_is_named_with_its_turn(tmp_path, picture, says):
    file = write(tmp_path / "in.jsonl", with_value(TALK, "sessions.0.turns.1.picture", picture))
    turn = r"in\.jsonl, line 1: sessions\[0\]\.turns\[1\]"
    with pytest.raises(UserError, match=f"{turn} .*{says}"):
        import_(str(tmp_path / "out"), file, "dialogues")
    assert not (tmp_path / "out").exists()


def test_a_conversation_of_ones_own_needs_little(tmp_path):
    import_(str(tmp_path / "talks"), write(tmp_path / "in.jsonl", TALK), "dialogues")
    (talk,) = read_dialogues(tmp_path / "talks")
    assert talk.sessions[0].at == "2024-05-01T12:00:00Z"
    assert [turn.id for _, turn in talk.turns()] == ["D1:1", "b"]
    assert talk.questions[0].id == "1"


def test_chats_are_demonstrations_and_come_back(tmp_path):
    system = {"messages": [{"role": "system", "content": "Add."}, *CHAT["messages"]]}
    light = with_value(CHAT, "messages.1.weight", 0)
    import_(str(tmp_path / "chats"), write(tmp_path / "in.jsonl", CHAT, system, light), "chats")
    assert len(read_dataset(tmp_path / "chats", "train")) == 3
    dump(str(tmp_path / "chats"), str(tmp_path / "out.jsonl"))
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert list(map(json.loads, lines)) == [CHAT, system, light]


def test_the_lines_in_the_docs_are_read(tmp_path):
    page = Path(__file__).parents[2] / "docs/own_data.md"
    blocks = re.findall(r"```json\n(.*?)```", page.read_text(), re.S)
    made_up().save(tmp_path / "table.jpg")
    kinds = ["episodes", "dialogues", "dialogues", "chats", "chats"]
    for i, (kind, block) in enumerate(zip(kinds, blocks, strict=True)):
        (tmp_path / "in.jsonl").write_text(block)
        assert import_(str(tmp_path / f"{i}"), str(tmp_path / "in.jsonl"), kind).records == 1


@pytest.mark.parametrize(
    ("kind", "place", "value", "says"),
    [
        ("episodes", "turns.1.action", 3, r"field turns\[1\]\.action is 3; give str"),
        ("episodes", "turns.1.extra", 3, r"turns\[1\]: .*unexpected.*'extra'"),
        ("episodes", "turns", [], "turns is empty"),
        ("episodes", "turns", "none", "field turns is 'none'"),
        ("episodes", "score", 1.5, "score is 1.5; give a number from 0 to 1"),
        ("episodes", "score", float("nan"), "score is nan"),
        ("episodes", "task", None, "field task is None; give str"),
        ("dialogues", "speakers", ["Ann"], "speakers has 1 names; give two"),
        ("dialogues", "sessions.0.at", "yesterday", r"sessions\[0\]\.at is 'yesterday', not a"),
        ("dialogues", "sessions.0.at", "2024-05-01T12:00", "has no time zone"),
        ("dialogues", "sessions.0.turns.0.speaker", "Eve", "turn D1:1 is by 'Eve'"),
        ("dialogues", "sessions.0.turns.1.id", "D1:1", "'D1:1' has a space or occurs twice"),
        ("dialogues", "questions.0.kind", "hard", r"questions\[0\]\.kind is 'hard'; give one of"),
        ("dialogues", "questions.0.evidence", ["D9:9"], r"questions\[0\]\.evidence names D9:9"),
        ("chats", "messages", [], "the roles are missing"),
        ("chats", "messages.1.role", "user", "the roles are user, user"),
        ("chats", "messages.1.role", "robot", r"messages\[1\]\.role is 'robot'"),
        ("chats", "messages.1.weight", 0.5, r"messages\[1\]\.weight is 0\.5"),
        ("chats", "messages.0.content", 3, r"messages\[0\]\.content is 3; give str \| list"),
        ("chats", "messages.0.content", ["2 + 2?"], r"content\[0\] is 2 \+ 2\?; give"),
        ("chats", "messages.0.content", [{"type": "audio"}], r"content\[0\] is .*audio.*; give"),
        (
            "chats",
            "messages.0.content",
            [SHOWN | {"path": "no.png"}],
            r"shows 'no\.png', which cann",
        ),
        ("chats", "messages.0.content", [SHOWN | {"path": "a\0"}], r"which cannot be read"),
        ("chats", "messages.0.content", [SHOWN | {"path": "https://x/y.png"}], "is no file; save"),
        ("chats", "messages.0.content", [{"type": "image_url"}], r"content\[0\] is .*; give"),
        ("chats", "messages.1.content", [SHOWN], "the assistant shows a picture; only a user can"),
    ],
)
def test_a_wrong_line_is_named_with_its_field(tmp_path, kind, place, value, says):
    good = LINES[kind]
    wrong = with_value(good, place, value) | ({} if kind == "chats" else {"id": "other"})
    file = write(tmp_path / "in.jsonl", good, wrong)
    with pytest.raises(UserError, match=f"in.jsonl, line 3: .*{says}"):
        import_(str(tmp_path / "out"), file, kind)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("line", ["{", "[]", "3", "null", '{"id": 1}', "[" * 3000, "\ud800"])
@pytest.mark.parametrize("kind", LINES)
def test_what_is_no_record_is_refused(tmp_path, kind, line):
    (tmp_path / "in.jsonl").write_bytes(line.encode(errors="surrogatepass"))
    with pytest.raises(UserError, match=r"in\.jsonl, line 1: "):
        import_(str(tmp_path / "out"), str(tmp_path / "in.jsonl"), kind)


@pytest.mark.parametrize("kind", ["episodes", "dialogues"])
def test_two_records_of_one_name_are_refused(tmp_path, kind):
    file = write(tmp_path / "in.jsonl", LINES[kind], LINES[kind])
    with pytest.raises(UserError, match=r"line 3: has the id .*of .*line 1"):
        import_(str(tmp_path / "out"), file, kind)


def test_nothing_is_written_over(tmp_path, capsys):
    file = write(tmp_path / "in.jsonl", GUESS)
    import_(str(tmp_path / "episodes"), file, "episodes")
    with pytest.raises(SystemExit):
        cli.main(["dump", str(tmp_path / "episodes"), "--file", file])
    assert json.loads((tmp_path / "in.jsonl").read_text().strip()) == GUESS
    with pytest.raises(UserError, match="episodes"):
        dump(str(tmp_path), str(tmp_path / "out.jsonl"))
    write(tmp_path / "in.jsonl", GUESS | {"task": "another"})
    with pytest.raises(UserError, match="sha256"):
        import_(str(tmp_path / "episodes"), file, "episodes")
