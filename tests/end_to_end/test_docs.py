"""Every command and every piece of Python in README and docs runs, page by page, in the order a reader types them."""

import contextlib
import importlib.util
import io
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from runner.examples import write_examples
from tests.support.weights import KerasHome

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
FILE_NAME = re.compile(r"# ((?:conf/|my_)[\w/]+\.(?:py|yaml))\n")
EXIT_CODE = re.compile(r"\s+# exit code (\d+)$")
LEFT = {
    "mode=bench": "bench.csv",
    "mode=check": "check.json",
    "mode=pack": "run.json",
    "mode=evaluate": "run.json",
    "mode=export": "export/export.json",
    "mode=fit": "model.keras",
    "debug=overfit": "model.keras",
    "debug=profile": "profile.pstats",
}
"""The file a command leaves where that is not predictions.csv."""
NOT_RUN = (
    "python -m pip",
    "python -m pytest",
    "ruff ",
    "mypy",
    "mkdocs ",
    "eval ",
    "tensorboard ",
    "mlflow ui",
    "wandb ",
)
"""Commands that install packages, check the code, or start servers."""
NEEDED = {"tracker=tensorboard": "tensorboardX", "tracker=mlflow": "mlflow", "tracker=wandb": "wandb"}
NEEDED |= {"backend=jax": "jax", "backend=torch": "torch"}
"""The package that a choice needs; without it the command is skipped."""
WITHOUT_PAGES = """
import sys
from runner.__main__ import main
from tests.support.pages import without_pages
with without_pages():
    sys.exit(main())
"""
"""`python -m runner`, drawing nothing."""
CHEAP_OPTIMIZER = ["train.optimizer={name: sgd}"]
"""It takes a fifth of the time of Adam, which is half of the time of a step that is not traced."""
ALL_DEVICES = "distribute.devices=all"


@dataclass(frozen=True)
class Step:
    """One block of a page, or one command of it: `kind` is command, python, or file."""

    kind: str
    text: str
    exit_code: int = 0
    name: str = ""


def steps_of(page):
    """The steps of a page, in the order of a reader."""
    for language, text in BLOCK.findall(page.read_text()):
        if language in ("console", "bash"):
            for command in commands_of(text):
                code = EXIT_CODE.search(command)
                yield Step("command", EXIT_CODE.sub("", command), int(code[1]) if code else 0)
        elif language in ("python", "yaml") and (named := FILE_NAME.match(text)):
            yield Step("file", text[named.end() :], name=named[1])
        elif language == "python":
            yield Step("python", text)


def commands_of(text):
    """The commands of a block: one per line, or several that && joins."""
    return [each for line in text.splitlines() for each in line.strip().removeprefix("$ ").split(" && ") if each]


STEPS = {page.relative_to(ROOT).as_posix(): list(steps_of(page)) for page in PAGES}
RUNNABLE = [name for name, steps in STEPS.items() if any(step.kind != "file" for step in steps)]
COMMANDS = [step.text for steps in STEPS.values() for step in steps if step.kind == "command"]
SWEEPS = list(
    dict.fromkeys(c.removeprefix("python -m runner -m ") for c in COMMANDS if c.startswith("python -m runner -m "))
)


@pytest.fixture
def place(tmp_path, digits_root, monkeypatch):
    """An empty folder to follow a page in; the digits are there already. What it imports is forgotten."""
    (tmp_path / "outputs" / "data").mkdir(parents=True)
    (tmp_path / "outputs" / "data" / "digits").symlink_to(digits_root)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("my_"):
            del sys.modules[name]


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """What `runner.examples` writes, for all pages but the first that types it."""
    folder = tmp_path_factory.mktemp("examples")
    write_examples(folder)
    return folder


@pytest.fixture
def small_networks(monkeypatch):
    """The networks of `keras.applications` have one layer: tests of the model build them as they are."""

    def network(*, include_top, weights, input_shape, pooling):
        import keras

        return keras.Sequential([keras.Input(input_shape), keras.layers.GlobalAveragePooling2D()], name="network")

    monkeypatch.setattr("keras.applications.MobileNetV2", network)


@pytest.fixture
def short_modes(monkeypatch):
    """The bench measures only the loader it is started with, and no bounds; `debug=overfit` takes two steps."""
    monkeypatch.setattr("runner.modes.bench.candidates", lambda asked, *_, **__: [asked])
    monkeypatch.setattr("runner.modes.bench.measure_bounds", lambda *_: [])
    monkeypatch.setattr("runner.modes.debug.OVERFIT_EPOCHS", 1)
    monkeypatch.setattr("runner.modes.debug.OVERFIT_STEPS", 2)


DONE = set()
"""Commands that ran on an earlier page."""


class Reader:
    """Follows a page: epochs, samples, and networks that a command does not name, are cut short, but for the first run.

    A command that ran on an earlier page is skipped, unless a later step of this page needs a run. A run only trains,
    unless the next step repeats it or a later one reads its results: evaluating and predicting have their own tests. A
    run on another backend takes a process; there is one.
    """

    def __init__(self, page, examples):
        self.steps, self.examples = STEPS[page], examples
        self.epochs = 1
        self.namespace = {}
        self.is_whole = False

    def follow_all(self):
        """Do all steps."""
        for number, step in enumerate(self.steps):
            later = self.steps[number + 1 :]
            is_needed = any(re.search(r"=latest|runner\.(runs|report)", step.text) for step in later)
            self.is_whole = "rerun=" in "".join(step.text for step in later[:1]) or any(
                "evaluate." in step.text for step in later
            )
            if step in DONE and step.text == "python -m runner.examples":
                shutil.copytree(self.examples, ".", dirs_exist_ok=True)
            elif is_needed or step not in DONE or step.kind == "file":
                self.follow(step)
            DONE.add(step)

    def follow(self, step):
        """Do one step."""
        if step.kind == "file":
            Path(step.name).parent.mkdir(parents=True, exist_ok=True)
            Path(step.name).write_text(step.text)
        elif step.kind == "python":
            short = step.text.replace("epochs=3", "epochs=1")
            short = re.sub(r"compose\(\[(.*)\]\)", rf"compose([\1, *{self.shorter([''])}])", short)
            exec(short, self.namespace)
        elif not step.text.startswith(NOT_RUN):
            command, _, file = self.substituted(step.text).partition(" > ")
            if file:
                Path(file).write_text(self.printed(command))
            else:
                self.type(command, step.exit_code)

    def substituted(self, command):
        """The command with the output of each $(…) in its place, as a shell does."""
        return re.sub(r"\$\((.*?)\)", lambda match: self.printed(match[1]).strip(), command)

    def printed(self, command):
        """Standard output of a command that trains nothing."""
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            self.type(command, 0)
        return printed.getvalue()

    def type(self, command, exit_code):
        """Run one command in this process, and check how it ends."""
        words = shlex.split(command)
        assert words[:2] == ["python", "-m"], f"not a command that this test knows: {command}"
        module, arguments = words[2], words[3:]
        if module != "runner":
            main = importlib.import_module("runner.runs.__main__" if module == "runner.runs" else module).execute
            assert main(arguments) == exit_code, command
        elif arguments[:1] == ["-m"]:
            return  # sweeps have tests of their own below
        elif exit_code == 2 or {"--help", "--version", "--cfg", "--schema"} & set(arguments):
            from runner.__main__ import execute

            assert execute(arguments) == exit_code, command
        else:
            self.run(arguments, exit_code)

    def run(self, arguments, exit_code):
        """One run, cut short."""
        import tensorflow as tf

        import runner
        from runner.errors import RunnerError

        missing = [
            name for word, name in NEEDED.items() if word in arguments and importlib.util.find_spec(name) is None
        ]
        if missing or "tracker.uri=http://localhost:5000" in arguments or "tracker.mode=online" in arguments:
            return
        words = [*map(with_short_phases, arguments), *self.shorter(arguments)]
        if any(word.startswith("backend=") for word in arguments) and ALL_DEVICES not in arguments:
            runner.compose(words)  # it runs with all devices, and in test_backends
            return
        tf.config.run_functions_eagerly(bool(arguments))  # the default run is traced, as for users
        if any(word.startswith("backend=") for word in arguments):
            run = [sys.executable, "-c", WITHOUT_PAGES, *words]
            assert subprocess.run(run, stdout=subprocess.DEVNULL).returncode == exit_code
            return
        try:
            record = runner.run(runner.compose(words))
        except RunnerError as error:
            if error.exit_code != exit_code:
                raise
            return
        assert exit_code == 0
        assert record.document["status"] == "completed"
        assert (record.path / self.left_by(words, record)).exists()

    def left_by(self, words, record):
        """A file that a run leaves; one that starts from another run may have that run's mode."""
        mode = yaml.safe_load((record.path / "config.yaml").read_text())["mode"]
        return next((file for word, file in LEFT.items() if word in [*words, f"mode={mode}"]), "predictions.csv")

    def shorter(self, arguments):
        """Overrides that cut a run short; a run that starts from an earlier one keeps that one's data and epochs."""
        said = " ".join(arguments)
        if "from_run=" in said or "rerun=" in said:
            return []
        if "resume=" in said:
            self.epochs += 1
            return [f"train.epochs={self.epochs}"]
        self.epochs = 1
        seconds = ["bench.seconds=0.05"] if "mode=bench" in said else []
        limit = [] if re.search(r"\bdata=(none|custom|arrays)|data\.limit", said) else ["data.limit=8"]
        steps = ["train.steps_per_epoch=2"] if re.search(r"data=none|steps_per_epoch=", said) else []
        fit = [] if self.is_whole or re.search(r"\bmode=|debug=", said) else ["mode=fit"]
        is_first = not arguments
        is_own = is_first or re.search(r"\bmodel[.=]|experiment=", said)
        network = [] if is_own else ["model=mlp", "model.hidden_units=[4]"]
        # A model of one's own may be compiled already.
        optimizer = [] if is_first or re.search(r"debug=|optimizer|experiment=|model=custom", said) else CHEAP_OPTIMIZER
        network = ["model.depth=1", "model.filters=2"] if "model.depth=" in said else network
        workers = ["loader.workers=1"] if "use_multiprocessing=true" in said else []
        epochs = [] if "train.phases=" in said else ["train.epochs=1"]
        return [*epochs, *seconds, *limit, *steps, *fit, *network, *optimizer, *workers]


def with_short_phases(word):
    """An override whose phases have one epoch each, and train few layers of a small network."""
    if not word.startswith("train.phases="):
        return word
    return re.sub(r"trainable: \d+", "trainable: 4", re.sub(r"epochs: \d+", "epochs: 1", word))


class ExportHere(nullcontext):
    """Exports in this process, which has imported TensorFlow already; in a process of its own it has its own tests."""

    def __enter__(self):
        return self

    def call(self, name, *arguments):
        if name != "load":
            return getattr(self.session, name)(*arguments)
        from runner.exports.session import ExportSession

        self.session = ExportSession(*arguments)
        return self.session.facts


@pytest.mark.parametrize("page", RUNNABLE)
def test_page_runs_as_it_is_read(page, place, short_modes, small_networks, empty_pages, eager, examples, monkeypatch):
    monkeypatch.setattr("runner.modes.export.ExportProcess", ExportHere)
    if any("weights=imagenet" in step.text for step in STEPS[page]):
        home = KerasHome(monkeypatch, place / "keras")
        home.make(home.file)
    Reader(page, examples).follow_all()


@pytest.mark.parametrize("command", SWEEPS)
def test_sweep_of_docs_can_be_prepared(command, place, monkeypatch):
    from runner.commands.prepare_sweep import prepare_sweep

    # There may be no cluster here, nor a package that a sweep needs.
    monkeypatch.setattr("runner.commands.prepare_sweep.launcher_problem", lambda settings: None)
    monkeypatch.setattr("runner.component.find_spec", lambda name: importlib.util.find_spec("pytest"))
    sweep = prepare_sweep(shlex.split(command))
    assert len(sweep.jobs) > 1 or sweep.space is not None or sweep.settings.resume is not None


@pytest.mark.parametrize("group", ["data", "loader", "model"])
def test_docs_have_a_command_for_every_choice(group):
    said = "\n".join(COMMANDS)
    assert all(f"{group}={file.stem}" in said for file in (ROOT / "conf" / group).glob("*.yaml"))


def test_readme_starts_with_commit_commands():
    install, check = (text for language, text in BLOCK.findall(PAGES[0].read_text())[:4] if language == "bash")
    assert "pip install -e ." in install and "python -m runner" in install
    assert all(tool in check for tool in ("ruff check", "ruff format --check", "mypy", "mkdocs build", "pytest"))


def test_key_reference_explains_every_key():
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \| (.*) \| .* \|$", hooks.keys_page(), re.MULTILINE)
    unexplained = [key for key, _, meaning in rows if not meaning and not key.endswith(".name")]
    assert len(rows) > 300 and not unexplained
