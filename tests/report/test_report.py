import json
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from matplotlib.colors import to_hex

from duomem_jax.evals.cost import TrainingCost
from duomem_jax.evals.describe import Column, Description
from duomem_jax.evals.fidelity import Fidelity
from duomem_jax.evals.games.describe import GAMES, games_in
from duomem_jax.evals.stats import Interval
from duomem_jax.evals.summary import summarize
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.store.store import Store
from duomem_jax.records.dialogues import Turn
from duomem_jax.records.results import Result, Usage
from duomem_jax.report import write_report
from duomem_jax.report.pictures.canvas import PLAYER_COLOUR, colours, write_picture
from duomem_jax.report.pictures.costs import costs_figure
from duomem_jax.report.pictures.curve import Line, Point, curve_figure
from duomem_jax.report.pictures.headlines import headlines_figure
from duomem_jax.report.pictures.kinds import kinds_figure
from duomem_jax.report.pictures.memories import scores_figure, uses_figure
from duomem_jax.report.pictures.points import Placed, points_figure
from duomem_jax.report.pictures.turns import turns_figure
from duomem_jax.report.recipes import RecipeRow, recipes_table
from duomem_jax.report.table import markdown_table
from duomem_jax.worlds import open_world

HOUSEHOLD = games_in(open_world("household"))


def result(subject, game, seed, won, ended=""):
    kind = ("pick_and_place_simple", "look_at_obj_in_light")[game % 2]
    scores = {"success": float(won), "steps": 5.0 if won else 50.0}
    ended = ended or ("won" if won else "steps")
    return Result(subject, f"g{game}", f"g{game}", kind, seed, scores, Usage(1200, 90, 0.5), ended)


@pytest.fixture(scope="module")
def rows():
    wins = {("no memory", 0): 2, ("Both", 0): 15, ("Both", 1): 13, ("mine", 0): 20}
    return [
        result(subject, g, seed, g < won, "context" if won <= g == 19 else "")
        for (subject, seed), won in wins.items()
        for g in range(20)
    ]


def test_report_folder(tmp_path, rows):
    path = write_report(
        tmp_path, rows, HOUSEHOLD, title="A title", note="Protocol.", order=["mine"]
    )
    text = path.read_text()
    assert text.startswith("# A title\n\nProtocol.\n")
    assert "| mine      |    20 |     1 | 100.0 [83.9, 100.0] |" in text
    assert "| no memory |    20 |     1 |    10.0 [2.8, 30.1] |" in text
    assert "| Both      |    20 |     2 |" in text
    assert "## Success per task type, %\n\n![Success per task type](kinds.png)\n" in text
    assert "| subject   |   put | examine |" in text
    assert all(
        (tmp_path / f"{name}.{form}").exists()
        for name in ("success", "kinds", "costs")
        for form in ("png", "svg")
    )
    assert "| no memory |  10.0 |    10.0 |" in text
    assert text.index("| mine") < text.index("| no memory") < text.index("| Both")
    assert "no memory: in 1 of its lost games the conversation outgrew" in text
    assert "-90.0 [-100.0, -75.0] |      0 / 18 | 7.6e-06 | 2.3e-05 |" in text
    report = json.loads((tmp_path / "report.json").read_text())
    assert [a["subject"] for a in report["subjects"]] == ["mine", "no memory", "Both"]
    assert report["subjects"][2]["headline"]["mean"] == pytest.approx(0.7)
    assert len(report["differences"]) == 3


def test_headlines_figure_shows_a_bar_a_whisker_and_a_number_for_each_subject(rows):
    subjects = summarize(rows, HOUSEHOLD)
    figure = headlines_figure(subjects, HOUSEHOLD, title="A title", subtitle="20 games")
    (ax,) = figure.axes
    bars, (_, _, (whiskers,)) = ax.containers
    assert [bar.get_width() for bar in bars] == pytest.approx([10, 70, 100])
    assert [to_hex(bar.get_facecolor()).upper() for bar in bars] == colours(
        ["no memory", "Both", "mine"]
    )
    ends = [[100 * s.headline.low, 100 * s.headline.high] for s in subjects]
    drawn = [list(segment[:, 0]) for segment in whiskers.get_segments()]
    assert drawn == [pytest.approx(end) for end in ends]
    middles = [bar.get_y() + bar.get_height() / 2 for bar in bars]
    assert middles == pytest.approx(list(ax.get_yticks()))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["no memory", "Both", "mine"]
    assert ax.yaxis_inverted()  # the first subject is on top
    assert [text.get_text() for text in ax.texts] == ["10.0", "70.0", "100.0", "20 games"]
    assert ax.get_xlabel() == "games won, % (95 % interval)"
    assert ax.get_title(loc="left") == "A title"
    low, high = ax.get_xlim()
    assert low == 0
    assert high > 100


def test_a_picture_is_a_png_and_an_svg_and_the_same_each_time(tmp_path, rows):
    subjects = summarize(rows, HOUSEHOLD)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        figure = headlines_figure(subjects, HOUSEHOLD, title="t")
        write_picture(tmp_path / folder / "s.png", figure)
    first, second = ({f.name: f.read_bytes() for f in (tmp_path / x).iterdir()} for x in "ab")
    assert first == second
    assert first["s.png"][:8] == b"\x89PNG\r\n\x1a\n"
    assert ElementTree.fromstring(first["s.svg"]).tag.endswith("svg")


def test_kinds_figure_has_a_number_for_each_subject_and_kind(rows):
    subjects = summarize(rows, HOUSEHOLD)
    (ax,) = kinds_figure(subjects, HOUSEHOLD, title="t").axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["put", "examine"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["no memory", "Both", "mine"]
    shown = {text.get_position(): text.get_text() for text in ax.texts}
    assert shown == {
        (0, 0): "10", (1, 0): "10", (0, 1): "75", (1, 1): "65", (0, 2): "100", (1, 2): "100",
    }  # fmt: skip
    # Read on both ends of the colours.
    assert {text.get_text(): text.get_color() for text in ax.texts}["10"] == "white"
    assert {text.get_text(): text.get_color() for text in ax.texts}["100"] == "black"


def test_costs_figure_has_a_panel_for_each_cost(rows):
    subjects = summarize(rows, HOUSEHOLD)
    axes = costs_figure(subjects, HOUSEHOLD, title="t").axes
    assert [ax.get_xlabel() for ax in axes] == ["steps", "tokens read", "tokens written"]
    bars = [bar.get_width() for bar in axes[0].containers[0]]
    assert bars == pytest.approx([45.5, 18.5, 5.0])
    assert [text.get_text().strip() for text in axes[0].texts] == ["45.5", "18.5", "5.0"]


def test_points_figure_names_each_point_and_no_name_hides_another():
    scores = [Interval(0.5 + i / 1000, 0.4, 0.7) for i in range(12)]
    points = [Placed(f"recipe {i}", 0.01 * i, score) for i, score in enumerate(scores)]
    (ax,) = points_figure(points, GAMES, title="t", axis="distance").axes
    dots, _, (whiskers,) = ax.containers[0]
    assert dots.get_xdata() == pytest.approx([p.x for p in points])
    assert dots.get_ydata() == pytest.approx([100 * p.score.mean for p in points])
    assert whiskers.get_segments()[0][:, 1] == pytest.approx([40, 70])
    assert (ax.get_xlim()[0], ax.get_ylim()[0]) == (0, 0)  # small differences look small
    named = {text.get_text(): text for text in ax.texts}
    assert {name: text.xy[1] for name, text in named.items()} == pytest.approx(
        {p.name: 100 * p.score.mean for p in points}
    )
    heights = sorted(text.xyann[1] for text in named.values())
    assert min(b - a for a, b in pairwise(heights)) > 4
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("distance", GAMES.axis)


def test_curve_figure_shows_means_intervals_and_seeds():
    points = [Point(n, Interval(n / 100, 0.0, n / 50), (0.0, n / 50)) for n in (6, 30)]
    lines = [Line("LoRA", points), Line("both", points)]
    both = {"without": lines[:1], "with": lines[1:]}
    first, second = curve_figure(both, GAMES, title="t", axis="games").axes
    assert [c.get_label() for c in [*first.containers, *second.containers]] == ["LoRA", "both"]
    (ax,) = curve_figure({"": lines}, GAMES, title="t", axis="games").axes
    assert [c.get_label() for c in ax.containers] == ["LoRA", "both"]
    assert list(ax.containers[0][0].get_ydata()) == pytest.approx([6, 30])
    assert [list(c.get_offsets()[:, 1]) for c in ax.collections if len(c.get_offsets()) == 2]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["6", "30"]
    assert ax.get_xscale() == "log"


def test_turns_figure_names_each_line_at_its_end():
    (ax,) = turns_figure({"text": [0.1, 0.3], "logits": [0.1, 0.2, 0.4]}, title="t").axes
    assert [list(line.get_ydata()) for line in ax.lines] == [[0.1, 0.3], [0.1, 0.2, 0.4]]
    assert {text.get_text(): text.xy for text in ax.texts} == {
        "text": (2, 0.3),
        "logits": (3, 0.4),
    }


def test_uses_and_scores_of_memories_are_bars_with_their_numbers(tmp_path):
    with Store.open(tmp_path / "s.sqlite", embedder=make_embedder("hashing:64")) as store:
        store.remember([Turn("1", "Ann", "I live in Oslo."), Turn("2", "Ann", "I pay $5 for " * 9)])
        first, second = store.entries()
        store.credit([first.id], True)
        store.credit([first.id, second.id], False)
        found = store.recall("Oslo?", k=2)
        used = store.entries()
    (ax,) = uses_figure(used, title="t").axes
    shown, won = ax.containers
    assert [bar.get_width() for bar in shown] == [2, 1]
    assert [bar.get_width() for bar in won] == [1, 0]
    assert [text.get_text().strip() for text in ax.texts] == ["1 of 2", "0 of 1"]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names[0] == "I live in Oslo."
    assert names[1].startswith(r"I pay \$5 for I pay")
    assert names[1].endswith("\u2026")
    (ax,) = scores_figure(found, title="t").axes
    assert [bar.get_width() for bar in ax.containers[0]] == [score for _, score in found]
    assert ax.get_yticklabels()[0].get_text() == "I live in Oslo."
    assert ax.yaxis_inverted()


def test_report_on_questions_has_their_words(tmp_path):
    """Another sort of results: nothing of games is in its report."""
    questions = Description(
        headline="f1",
        title="F1",
        axis="F1, %",
        items="questions",
        kind="category",
        how_to_read="**F1**: overlap.\n",
        columns=(Column("tokens read", lambda r: r.cost.prompt_tokens, "{:,.0f}"),),
        kinds={"time": "when", "person": "who"},
    )
    answers = [
        Result(
            subject,
            f"q{i}",
            f"dialogue {i // 4}",
            ("person", "time")[i % 2],
            0,
            {"f1": base + i % 2 / 4},
            Usage(1000),
        )
        for subject, base in (("plain", 0.25), ("memory", 0.5))
        for i in range(16)
    ]
    text = write_report(tmp_path, answers, questions, title="Questions").read_text()
    assert "![F1 of each subject](f1.png)" in text
    assert (tmp_path / "f1.png").exists()
    assert "| subject | questions | seeds |    F1 % [95 % CI] | tokens read |" in text
    assert (
        "## F1 per category, %\n\n![F1 per category](kinds.png)\n\n| subject | when |  who |"
        in text
    )
    assert "| plain   | 50.0 | 25.0 |" in text
    assert "| memory - plain |        16 |         +25.0 [+25.0, +25.0] |           - |" in text
    assert "game" not in text


def test_reports_are_reproducible(tmp_path, rows):
    first = write_report(tmp_path / "a", rows, HOUSEHOLD, title="t").read_text()
    assert first == write_report(tmp_path / "b", rows, HOUSEHOLD, title="t").read_text()


def test_every_line_of_a_table_is_equally_wide():
    table = markdown_table(["arm", "x"], [["a|b", "1"], ["longer name", "12,345.6"]])
    assert len({len(line) for line in table.splitlines()}) == 1
    assert "a\\|b" in table
    assert table.splitlines()[1].startswith("| :--")


def test_a_subject_keeps_its_colour():
    assert colours(["LoRA", "teacher"]) == [PLAYER_COLOUR["lora"], PLAYER_COLOUR["teacher"]]
    many = colours(["both", "x", "y", "z", "u", "v"])
    assert len(set(many)) == 6
    assert many[0] == PLAYER_COLOUR["both"]


def test_recipes_table_shows_means_and_the_span_of_seeds():
    costs = [TrainingCost(20, 1000.0, 10.0, 3_000_000), TrainingCost(20, 1200.0, 10.0, 3_000_000)]
    near = [Fidelity(9, kl, 0.5, 0.25, 0.9, 0.01, (kl,)) for kl in (0.1, 0.3)]
    table = recipes_table([RecipeRow("no adapter", [], near[:1]), RecipeRow("text", costs, near)])
    plain, text = (
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:4]
    )
    assert plain == ["no adapter", "-", "-", "-", "-", "0.100", "0.500", "0.250", "90.0", "1.0"]
    assert text[:5] == ["text", "20", "1,100 [1,000, 1,200]", "10", "3.0"]
    assert text[5] == "0.200 [0.100, 0.300]"
