"""Every command and every import of the documentation: parsed by what would run it.

Blocks of shell commands are run by bash, which expands their loops and variables, with stand-ins
for all programs. These write down what they were called with; that is then given to the parsers of
the real ones.
"""

import ast
import contextlib
import functools
import importlib
import importlib.util
import inspect
import io
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import duomem_jax
from duomem_jax import cli
from duomem_jax.experiments.compare import load_experiment
from duomem_jax.experiments.program import next_steps
from duomem_jax.train.command import parse
from duomem_jax.train.config import load_config, print_fields

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CONFIGS = sorted((ROOT / "configs").glob("*.py"))
OURS = ("duomem", "python", "make", "tpu/babysit.sh", "tpu/slice.sh", "tpu/xpk.sh")
# What is somebody else's is only not to be misspelt.
OTHERS = ("curl", "gcloud", "pip", "python3", "sky", "transformers", "vllm")
OTHERS_OPTIONS = {
    "--max-logprobs",
    "--max-model-len",
    "--xla-force-host-platform-device-count",
    "--xla-gpu-autotune-level",
}
COMMANDS = cli.commands()


def blocks(page, *languages):
    """Fenced blocks of a page."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.S | re.M)
    return [block for language, block in found if language in languages]


def inline(page):
    """What stands between back-quotes, outside the blocks."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M)
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", text)]


def docstring_commands(config):
    """The commands in the docstring of a config, as a block."""
    lines = (ast.get_docstring(ast.parse(config.read_text())) or "").splitlines()
    return "\n".join(line for line in lines if re.match(r" *(duomem |python |tpu/)", line))


@pytest.fixture(scope="module")
def called(tmp_path_factory):
    """Runs a block with stand-ins; gives what each was called with."""
    place = tmp_path_factory.mktemp("shell")
    (place / "tpu").mkdir()
    (place / "bin").mkdir()
    (place / ".venv/bin").mkdir(parents=True)
    (place / ".venv/bin/activate").touch()
    shutil.copy(ROOT / "tpu/example.env", place / "tpu")
    record = place / "record"
    # In one piece, as commands in the background write at the same time.
    stand_in = f"""#!/bin/bash
printf -v line '%s\\x1f' NAME "$@"
echo "$line" >> {record}
"""
    for name in (*OURS, *OTHERS):
        file = place / name if "/" in name else place / "bin" / name
        file.write_text(stand_in.replace("NAME", name))
        file.chmod(0o755)

    def run(block):
        record.write_text("")
        result = subprocess.run(
            ["bash", "-euc", block],
            cwd=place,
            env={"PATH": f"{place}/bin:/usr/bin:/bin", "DUOMEM_REAL_GAMES": "games"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.returncode == 0, result.stderr
        return [line.split("\x1f")[:-1] for line in record.read_text().splitlines()]

    return run


def help_of(call):
    """What a command prints for --help."""
    with contextlib.redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit):
        call()
    return out.getvalue()


def call_stage(words):
    """Parse a command line of `duomem`, and do nothing."""

    def nothing(function):
        return functools.wraps(function)(lambda *args, **kwargs: None)

    # The functions as they are, for their arguments and docstrings, but for what they do.
    stages = {name: nothing(command.run) for name, command in COMMANDS.items()}
    cli.call(words, stages)


def named(args):
    """The command that a line names, which is of one word or, in a group, of two."""
    return " ".join(args[:2]) if args[0] in cli.GROUPS else args[0]


@functools.cache
def options_of(stage):
    """Options of a command, as they are spelt with hyphens."""
    if stage == "train":
        text = help_of(lambda: print_fields("duomem train"))
    else:
        text = help_of(lambda: call_stage([*stage.split(), "--help"]))
    return set(re.findall(r"--[\w.-]+", text))


def hyphens(option):
    return option.partition("=")[0].replace("_", "-")


def check(words):
    """Give one command to what would run it."""
    name, *args = words
    if name in OTHERS:
        for file in (a for a in args if a.startswith("tpu/")):
            assert (ROOT / file).exists(), file
        for work in (a.removeprefix("WORK=") for a in args if a.startswith("WORK=")):
            check_work(shlex.split(work))
    elif name == "make":
        for target in args:
            subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)
    elif name.startswith("tpu/"):
        script = (ROOT / name).read_text()
        steps = re.findall(r"^  ([a-z][a-z |]*)\)", script, re.M)
        assert name == "tpu/babysit.sh" or args[0] in " | ".join(steps).split(" | "), words
        assert all(a.endswith(".env") or a == "--dry-run" for a in args[1:]), words
    elif name == "duomem" and args[0] == "train":
        parse_training(args[1:])
    elif name == "duomem":
        parse_stage(args)
    elif args[0] == "train.py":
        parse_training(args[1:])
    else:
        check_script(args)


def check_work(words):
    """WORK of an env file, as `tpu/host.sh` gives it to what does it."""
    stage, *args = words
    if stage == "train":
        check(["python", "train.py", *args, "--output", "gs://bucket/run"])
    else:
        check(["duomem", stage, "gs://bucket/run", *args, "--shard", "0/16"])


def parse_training(args):
    parse([str(ROOT / a) if a.startswith("configs/") else a for a in args])


def parse_stage(args):
    with contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            call_stage(args)
        except SystemExit as e:
            pytest.fail(f"{args}: {e.code}\n{err.getvalue()}")
    if args[0] == "compare":
        load_experiment(ROOT / args[1])
    if args[0] == "compile-check" and "--fields" in args:
        fields = []
        for word in args[args.index("--fields") + 1 :]:
            if word.startswith("--"):
                break
            option, _, value = word.partition("=")
            fields += [f"--{option}", value]
        load_config(str(ROOT / args[1]), fields)


def check_script(args):
    """`python -m MODULE ...` or `python FILE ...`: it is there and knows the options."""
    if args[0] == "-m":
        spec = importlib.util.find_spec(args[1])
        assert spec is not None, args
        assert spec.origin is not None
        file = Path(spec.origin)
        if file.name == "__init__.py":
            file = file.with_name("__main__.py")
    else:
        file = ROOT / args[0]
    source = file.read_text()
    if args[0].startswith("benchmarks/"):  # they share some of their options
        source += (ROOT / "benchmarks/beside.py").read_text()
    for option in (a for a in args if a.startswith("--")):
        assert knows(source, option), (args, option)


@pytest.fixture(autouse=True)
def real_games(monkeypatch, tmp_path):
    monkeypatch.setenv("DUOMEM_REAL_GAMES", str(tmp_path))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_a_page(page, called):
    for block in blocks(page, "sh", "bash"):
        for words in called(block):
            check(words)


def test_the_work_of_every_env_file():
    """Those of a page, and the one that is copied."""
    texts = [x for page in PAGES for x in blocks(page, "sh") if re.search("^WORK=", x, re.M)]
    assert len(texts) > 4
    for text in [*texts, (ROOT / "tpu/example.env").read_text()]:
        command = ["bash", "-euc", text + '\nprintf "%s\\n" "${WORK[@]}"']
        told = subprocess.run(command, capture_output=True, text=True, check=True)
        check_work(told.stdout.splitlines())


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.stem)
def test_commands_of_a_config(config, called):
    for words in called(docstring_commands(config)):
        check(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_and_options_in_the_text(page):
    for code in inline(page):
        if re.match(r"(duomem|python|make|tpu/\w+\.sh)( |$)", code) and "<" not in code:
            check_mention(shlex.split(code))
        elif re.match(r"--\w", code):
            check_options(shlex.split(code))
        elif found := re.search(r"pip install.* '?(?:duomem-jax|\.)\[(\w+)\]", code):
            extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
            assert found[1] in extras["optional-dependencies"]


def check_mention(words):
    """A command that need not be whole: it is there, and so are the options it is named with."""
    name, *args = words
    if words[:2] == ["python", "train.py"]:
        name, args = "duomem", ["train", *args[1:]]
    if name != "duomem":
        if args and "STEP" not in args:
            check([name, *args])
    elif args:
        if args[0] in cli.GROUPS and args[1:] in ([], ["--help"]):
            return
        assert named(args) in COMMANDS, words
        for option in (a for a in args if a.startswith("--")):
            assert hyphens(option) in options_of(named(args)), words


def check_options(words):
    """Options without a command: one knows them, and a field of training takes its value."""
    for option in (w for w in words if w.startswith("--")):
        known = OTHERS_OPTIONS.union(*map(options_of, COMMANDS))
        assert hyphens(option) in known or in_a_script(option), words
    values = [w for w in words if not w.startswith("--")]
    # FOLDER, i/n and a lone letter stand for something.
    told = values and not any(v.isupper() or len(v) == 1 or "/" in v for v in values)
    if told and all(hyphens(w) in options_of("train") for w in words if w.startswith("--")):
        load_config(str(ROOT / "configs/quickstart.py"), words)


def in_a_script(option):
    """Whether a script of `tpu/`, `benchmarks/` or the package itself has an option of its own."""
    files = [*(ROOT / "tpu").iterdir(), *ROOT.glob("benchmarks/**/*.py")]
    files += ROOT.glob("duomem_jax/**/*.py")
    return any(knows(f.read_text(), option) for f in files if f.is_file())


def knows(source, option):
    """Whether a script has an option: as argparse has it, or as tyro makes it of an argument."""
    argument = option.removeprefix("--").replace("-", "_")
    return option in source or re.search(rf"\b{argument}: ", source) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_of_a_page(page):
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Import):
                for name in node.names:
                    importlib.import_module(name.name)
            elif isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                for name in node.names:
                    assert hasattr(module, name.name), (node.module, name.name)


def doors():
    """All packages that say what they give to others, but for the commands', which is `--help`."""
    for found in pkgutil.walk_packages(duomem_jax.__path__, "duomem_jax."):
        if found.ispkg and found.name != "duomem_jax.cli":
            module = importlib.import_module(found.name)
            if hasattr(module, "__all__"):
                yield module


def test_the_api_page_has_every_door_and_every_name_is_explained():
    page, found = (ROOT / "docs/api.md").read_text(), list(doors())
    assert set(re.findall(r"automodule:: (\S+)", page)) == {door.__name__ for door in found}
    for door in found:
        for name in door.__all__:
            given = getattr(door, name)
            if inspect.isclass(given) or inspect.isroutine(given):
                assert inspect.getdoc(given), (door.__name__, name)


def test_what_costs_little_is_run(called, tmp_path, monkeypatch):
    commands = [w for page in PAGES for block in blocks(page, "sh") for w in called(block)]
    small = [
        args
        for name, *args in commands
        if (name, args[0]) == ("duomem", "generate") and int(args[args.index("--count") + 1]) < 10
    ]
    assert small
    monkeypatch.chdir(tmp_path)
    for args in small:
        cli.main(args)
        assert (tmp_path / args[1]).is_dir()


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
def test_the_example_of_every_command_is_one(called, command):
    (words,) = called(f"duomem {command.name} {command.example}")
    check(words)


def test_help_is_a_table_of_contents(capsys):
    cli.main(["--help"])
    text = capsys.readouterr().out
    names = dict.fromkeys(name.split(" ")[0] for name in COMMANDS)
    assert re.findall(r"^  (\S+) ", text, re.M) == list(names)
    assert all(len(line) < 120 for line in text.splitlines())
    cli.main([])
    assert capsys.readouterr().out == text


def test_the_help_of_a_command_shows_its_example(capsys):
    with pytest.raises(SystemExit):
        cli.main(["memory", "recall", "--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert 'duomem memory recall memories.sqlite "Where does Ana live?"' in text


@pytest.mark.parametrize("out", ["runs/quickstart", "runs/with space"])
@pytest.mark.parametrize("name", ["quickstart", "real"])
def test_the_next_steps_of_an_experiment_on_generated_games(called, name, out):
    text = next_steps(sys.modules[f"duomem_jax.experiments.{name}"].NEXT, out)
    program = re.search(r"^  (.*duomem\S*(?: -m duomem_jax)?) train", text, re.M)[1]
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.startswith("  ")]
    commands = [line.replace(program, "duomem") for line in lines if program in line]
    training, *others = called("\n".join(commands))
    check(training)
    for other in others:
        check(other)
    config = load_config(str(ROOT / f"configs/{name}.py"), training[training.index("--data") :])
    assert config.data == f"{out}/examples"
    # The folder of the experiment's own adapter belongs to it.
    assert config.output != f"{out}/adapters/lora/seed0"


@pytest.mark.parametrize(
    "wrong",
    [
        "duomem generate runs/x --number 3",
        "duomem evaluate runs/x --games.path y",
        "python train.py --config configs/quickstart.py --lora.rslora True",
        "python train.py --config configs/none.py",
        "python -m duomem_jax.nothing",
        "python benchmarks/engine.py --nonsense",
        "make nonsense",
        "tpu/slice.sh dance my.env",
        "duomem compile-check configs/qwen3_4b.py --fields global-batch=many",
        "duomme generate runs/x",
    ],
)
def test_a_wrong_command_is_found(called, wrong):
    def try_it():
        for words in called(wrong):
            check(words)

    with pytest.raises((Exception, pytest.fail.Exception)):
        try_it()
