"""The house: who may import whom, and what stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "runner"
LAYERS = [
    {"errors", "messages", "seeds"},
    {"batch"},
    {"exit", "machine", "user_code"},
    {"component"},
    {"images"},
    {"transforms"},
    {"data"},
    {"records"},
    {"loaders", "models", "sweeps", "trackers"},
    {"feeds", "reports"},
    {"callbacks"},
    {"training"},
    {"settings"},
    {"config", "modes"},
    {"commands", "examples", "job", "report", "runs"},
    {"__main__"},
]
KERAS_LAYERS = {"feeds", "models", "callbacks", "training"}
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(file.relative_to(PACKAGE) for file in PACKAGE.rglob("*.py") if "conf" not in file.parts[:-1])


def part_of(module):
    return module.parts[0].removesuffix(".py")


def imported(module, *, top_only=False):
    """Dotted names a module imports; at its top only: not within functions, not for type checkers."""
    tree = ast.parse((PACKAGE / module).read_text())
    nodes = tree.body if top_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def runner_parts(module):
    return {name.split(".")[1] for name in imported(module) if name.startswith("runner.")}


@pytest.mark.parametrize("module", [m for m in MODULES if m != Path("__init__.py")], ids=str)
def test_module_imports_only_from_lower_layers(module):
    part = part_of(module)
    for other in runner_parts(module) - {part}:
        assert LEVEL[other] < LEVEL[part], f"{module} imports runner.{other}"


def test_modules_form_no_cycle():
    graph = {str(m.with_suffix("")).replace("/", ".").removesuffix(".__init__"): m for m in MODULES}
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


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_only_the_keras_layers_import_keras(module):
    frameworks = {name.split(".")[0] for name in imported(module)} & {"keras", "tensorflow", "jax", "torch"}
    if part_of(module) not in KERAS_LAYERS | {"modes"}:
        assert not frameworks


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_only_configuration_knows_hydra(module):
    if part_of(module) not in {"config", "commands", "__main__"}:
        assert not {name.split(".")[0] for name in imported(module)} & {"hydra", "omegaconf"}


def modules_after(code):
    """The modules a fresh interpreter has after running `code`."""
    code += "\nimport sys; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


HEAVY = {"keras", "tensorflow", "jax", "pandas", "PIL", "cv2", "simplejpeg", "sklearn", "scipy"}


@pytest.mark.parametrize("code", ["import runner.settings", "import runner; runner.compose(['loader.workers=2'])"])
def test_configuration_imports_nothing_heavy(code):
    assert not modules_after(code) & HEAVY


def test_loading_imports_no_framework(digits_root):
    code = (
        f"import runner\nconfig = runner.compose(['data.root={digits_root}', 'loader.workers=1'])\n"
        "with runner.build_loader(config) as loader: print(len(next(loader.epoch(0))))"
    )
    assert not modules_after(code) & {"keras", "tensorflow", "jax", "sklearn"}


def test_layers_below_keras_need_no_tensorflow(digits_root):
    code = (
        "import sys\n"
        "class NotInstalled:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('tensorflow', 'keras', 'jax'): raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, NotInstalled())\n"
        f"import runner\nconfig = runner.compose(['data.root={digits_root}', 'loader=in_memory'])\n"
        "with runner.build_loader(config) as loader: print(sum(len(batch) for batch in loader.epoch(0)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 1200 < int(printed) < 1300


def test_every_module_starts_with_a_docstring():
    for file in PACKAGE.rglob("*.py"):
        first = file.read_text().splitlines()[0]
        assert first.startswith('"""'), file
