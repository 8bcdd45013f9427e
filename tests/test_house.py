"""The house: who may import whom, and what stays light."""

import ast
import io
import re
import subprocess
import sys
import tokenize
import traceback
from collections import Counter
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

import runner
from tests.support.photos import write_photos

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "runner"
LAYERS = [
    {"errors", "messages", "seeds"},
    {"batch"},
    {"fields"},
    {"exit", "finite", "isolated", "machine", "place", "shared_memory", "temporary", "user_code", "watchdog"},
    {"component"},
    {"images"},
    {"transforms"},
    {"data"},
    {"records"},
    {"distribute"},
    {"loaders", "models", "sweeps", "trackers"},
    {"feeds", "packs", "reports"},
    {"callbacks"},
    {"training"},
    {"exports"},
    {"choices"},
    {"settings"},
    {"config", "modes"},
    {"commands", "examples", "exporter", "job", "rank", "report", "runs"},
    {"__main__"},
]
KERAS_LAYERS = {"distribute", "feeds", "models", "callbacks", "training", "exports"}
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(file.relative_to(PACKAGE) for file in PACKAGE.rglob("*.py") if "conf" not in file.parts[:-1])


def part_of(module):
    return module.parts[0].removesuffix(".py")


@cache
def read(module):
    """What a module of the package imports, defines and says, from one look at its syntax."""
    source = (PACKAGE / module).read_text()
    names, modules, classes, texts = [], set(), [], []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module)
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.ClassDef):
            classes.append(node.name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(node.value)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    texts += (token.string for token in tokens if token.type == tokenize.COMMENT)
    return SimpleNamespace(names=names, modules=modules, classes=classes, texts=texts)


def imported(module):
    """Dotted names a module imports."""
    return read(module).names


def dotted(module):
    """The name of a module within the package."""
    return str(module.with_suffix("")).replace("/", ".").removesuffix(".__init__")


def imported_modules(module):
    """Names of the package's modules that a module imports, also as `from package import module`."""
    return {name.removeprefix("runner.") for name in read(module).modules if name.startswith("runner.")}


def runner_parts(module):
    return {name.split(".")[1] for name in imported(module) if name.startswith("runner.")}


def those_that(problems, modules=MODULES):
    """What is wrong with each of `modules`, by name; those that are right are left out."""
    found = {str(module): problems(module) for module in modules}
    return {name: wrong for name, wrong in found.items() if wrong}


def test_modules_import_only_layers_above_them():
    def from_below(module):
        part = part_of(module)
        return {other for other in runner_parts(module) - {part} if LEVEL[other] >= LEVEL[part]}

    assert those_that(from_below, [module for module in MODULES if module != Path("__init__.py")]) == {}


def test_modules_form_no_cycle():
    graph = {dotted(m): m for m in MODULES}
    edges = {
        name: {target.removeprefix("runner.") for target in imported(module)} & set(graph)
        for name, module in graph.items()
    }
    done = set()

    def visit(name, path):
        assert name not in path, f"import cycle: {' -> '.join([*path, name])}"
        if name not in done:
            for other in edges[name] - {name}:
                visit(other, [*path, name])
            done.add(name)

    for name in edges:
        visit(name, [])


def libraries(module):
    """The packages that a module imports."""
    return {name.split(".")[0] for name in imported(module)}


def test_only_the_keras_layers_import_keras():
    others = [module for module in MODULES if part_of(module) not in KERAS_LAYERS | {"modes"}]
    assert those_that(lambda module: libraries(module) & {"keras", "tensorflow", "jax", "torch"}, others) == {}


def test_only_configuration_knows_hydra():
    others = [module for module in MODULES if part_of(module) not in {"config", "commands", "__main__"}]
    assert those_that(lambda module: libraries(module) & {"hydra", "omegaconf"}, others) == {}


HEAVY = {"keras", "tensorflow", "jax", "pandas", "PIL", "cv2", "simplejpeg", "sklearn", "scipy"}


def test_configuration_and_loading_import_little(digits_root):
    code = (
        "import sys\n"
        "class NotInstalled:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in ('tensorflow', 'keras', 'jax'): missed.append(name); raise ModuleNotFoundError(name)\n"
        "missed = []; sys.meta_path.insert(0, NotInstalled())\n"
        f"import runner\nconfig = runner.compose(['data.root={digits_root}', 'loader.workers=1'])\n"
        "print(*sys.modules)\n"
        "with runner.build_loader(config) as loader: print(sum(len(batch) for batch in loader.epoch(0)))\n"
        "print(*sys.modules)\nprint(*missed)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    configured, count, loaded, missed = (set(line.split()) for line in ran.stdout.split("\n")[:4])
    assert not configured & HEAVY and "runner.settings" in configured
    assert not loaded & {"sklearn"} and not missed
    assert 1200 < int(count.pop()) < 1300


def test_every_module_starts_with_a_docstring():
    for file in PACKAGE.rglob("*.py"):
        first = file.read_text().splitlines()[0]
        assert first.startswith('"""'), file


KINDS = {"models/mlp.py"}
"""Modules that hold one kind chosen by name; they may be short."""

SHORT = {
    "config/plugins/hydra_plugins/keras_runner.py",
    "config/resolvers.py",
    "records/dotted.py",
    "training/model_file.py",
}
"""Modules under 40 lines: Hydra finds its plugins by their folder; leaves that two layers share."""

SINGLE_IMPORTER = {
    "callbacks/monitored.py", "commands/expand.py", "feeds/tensorflow_batches.py", "models/pretrained.py",
    "modes/debug.py", "training/monitor.py",
}  # fmt: skip
"""Modules under 60 lines that one other module imports: each keeps a framework or a feature apart."""

STARTED = {"__main__.py", "exporter.py", "job.py", "rank.py", "runs/__main__.py"}
"""Modules that a process is started with; nothing imports them."""

DOUBLE_CLASSES = {"Custom", "EarlyStopping", "ReduceLROnPlateau"}
"""Settings kinds, which are called like the thing they configure."""


def num_lines(module):
    return len((PACKAGE / module).read_text().splitlines())


def test_gerund_modules_are_few():
    gerunds = {module.stem for module in MODULES if module.stem.endswith("ing")}
    assert gerunds <= {"timing", "pruning"}


def test_class_names_are_unique():
    places = {}
    for module in MODULES:
        for name in read(module).classes:
            places.setdefault(name, []).append(str(module))
    doubled = {name: found for name, found in places.items() if len(found) > 1}
    assert set(doubled) <= DOUBLE_CLASSES, doubled


def test_modules_have_a_readable_length():
    lengths = {str(m): num_lines(m) for m in MODULES if m.name != "__init__.py"}
    assert {name: length for name, length in lengths.items() if length > 320} == {}
    assert {name for name, length in lengths.items() if length < 40} <= KINDS | SHORT


def test_small_modules_have_several_importers():
    importers = Counter()
    for module in MODULES:
        importers.update(imported_modules(module))
    small = {str(m) for m in MODULES if m.name != "__init__.py" and num_lines(m) < 60 and importers[dotted(m)] < 2}
    assert small <= SINGLE_IMPORTER | KINDS | SHORT | STARTED


# Of these, what each module imports; it may only shrink.
LIBRARIES = {"cv2", "PIL", "pandas", "keras", "tensorflow", "numpy", "rich", "hydra"}
NUMPY = {"numpy"}
CHAINS = [
    {
        "runner.__main__": set(),
        "runner.job": set(),
        "runner.settings": NUMPY,
        "runner.loaders.processes": NUMPY,
        "runner.loaders.reader": NUMPY,
        "runner.images.exact": NUMPY | {"PIL"},
    },
    {"runner.report": NUMPY | {"rich"}},
]
"""One process imports the modules of a chain in turn; each needs all that those before it need."""


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: list(chain)[-1])
def test_modules_import_exactly_their_libraries(chain):
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        f"    importlib.import_module(name); print(name, *sorted({LIBRARIES} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code, *chain], capture_output=True, text=True, check=True)
    found = {name: set(libraries) for name, *libraries in map(str.split, ran.stdout.splitlines())}
    assert found == chain


MOST_FRAMES = 12
"""Own frames from a worker to the JPEG decoder."""


@pytest.mark.parametrize("cache", ["none", "memory", "disk"])
def test_worker_reaches_the_decoder_in_few_frames(cache, tmp_path, monkeypatch):
    import simplejpeg

    decode, frames = simplejpeg.decode_jpeg, []

    def decode_jpeg(*args, **kwargs):
        frames.append([f.filename for f in traceback.extract_stack() if Path(f.filename).is_relative_to(PACKAGE)])
        return decode(*args, **kwargs)

    monkeypatch.setattr(simplejpeg, "decode_jpeg", decode_jpeg)
    root = write_photos(tmp_path / "photos", ["cat", "dog"], 3, suffix=".jpg")
    keys = ["data=directory", f"data.root={root}", "data.target_size=[6,5]", "data.validation_split=0"]
    keys += ["loader.workers=1", f"loader.cache={cache}", f"loader.cache_dir={tmp_path}"]
    with runner.build_loader(runner.compose(keys)) as loader:
        assert sum(map(len, loader.epoch(0))) == 6
    assert len(frames) >= 6
    assert 3 < max(map(len, frames)) <= MOST_FRAMES


WORDS_TO_AVOID = re.compile(
    r"\b(told|tells?|anew|so many|gone on with|is no key|beside|asked for|comes of|came of|in turns|somebody|lest)"
    r"\b",
    re.IGNORECASE,
)
ALLOWED_TEXTS = {"told"}
"""Keys of run.json."""


def unplain(text):
    return [found.group() for found in WORDS_TO_AVOID.finditer(text) if text not in ALLOWED_TEXTS]


def test_modules_are_written_in_plain_words():
    found = {str(module): [word for text in read(module).texts for word in unplain(text)] for module in MODULES}
    assert {name: words for name, words in found.items() if words} == {}


DOCUMENTS = sorted([*ROOT.glob("*.md"), PACKAGE / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("conf/**/*.*")])


def test_documents_are_written_in_plain_words():
    found = {
        f"{file.relative_to(ROOT)}:{number}": words
        for file in DOCUMENTS
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if (words := unplain(line))
    }
    assert found == {}


def test_architecture_page_lists_no_files():
    lines = (PACKAGE / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    rows = [line for line in lines if re.match(r"\s*([-*|]\s*)?\[?`?[\w/]+\.py\b", line)]
    assert rows == []


def test_architecture_page_shows_the_layers():
    page = (PACKAGE / "README.md").read_text().partition("## Layers")[2]
    shown = page.split("```")[1].removeprefix("text\n").replace("(K)", "").splitlines()
    assert [set(line.split()) for line in shown] == LAYERS


TESTS = sorted((ROOT / "tests").rglob("*.py"))


def against_the_rules(file):
    """Tests of a file with types, or with names that are long or not plain."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            is_typed = node.returns or any(argument.annotation for argument in arguments)
            is_test = node.name.startswith("test_")
            if is_typed or (is_test and (len(node.name) > 46 or unplain(node.name.replace("_", " ")))):
                yield node.name


def test_tests_have_short_names_and_no_types():
    assert those_that(lambda file: list(against_the_rules(file)), TESTS) == {}
