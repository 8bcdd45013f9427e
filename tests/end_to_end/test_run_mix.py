"""`data=mix` in whole runs: scores by part, resume, and the model on a mix afterwards."""

import pytest

from runner import compose
from runner.modes.run import run
from runner.records.run_folder import RunFolder, read_run
from tests.support.run_files import outcome

pytestmark = pytest.mark.usefixtures("empty_pages")  # no test here looks at one

QUICK = ["model=mlp", "model.hidden_units=[8]", "loader.batch_size=64", "data=mix"]


@pytest.fixture(scope="module")
def configured(digits_root, tmp_path_factory):
    """Runs on two parts of the digits, the second of which is small and has half of the draws."""
    root = tmp_path_factory.mktemp("runs")
    parts = f"{{a: {{kind: digits, root: {digits_root}, share: 1, limit: 120}}"
    parts += f", b: {{kind: digits, root: {digits_root}, share: 1, limit: 60, split_seed: 1}}}}"

    def start(name, *overrides):
        folder = root / name
        folder.mkdir(exist_ok=True)
        earlier = any(override.startswith(("resume=", "from_run=")) for override in overrides)
        keys = [] if earlier else [*QUICK, f"data.parts={parts}"]
        return run(compose([*keys, *overrides]), folder=folder)

    return start


@pytest.fixture(scope="module")
def whole(configured):
    return configured("whole", "train.epochs=2").path


def test_results_are_given_by_part(whole):
    document = read_run(whole)
    parts, evaluated = document["results"]["parts"], document["results"]["evaluate"]
    assert list(parts) == ["a", "b"]
    counts = [part["samples"] for part in parts.values()]
    assert sum(counts) == document["data"]["samples"]["test"]
    mean = sum(part["accuracy"] * part["samples"] for part in parts.values()) / sum(counts)
    assert mean == pytest.approx(evaluated["accuracy"], abs=1e-6)


def test_page_has_a_table_of_the_parts(whole, empty_pages):
    page = empty_pages["runner.reports.page:render"](RunFolder(whole))
    assert "Results by part" in page
    assert '<th scope="row">b</th><td class="n" data-value="60">' in page


def test_run_that_stopped_goes_on_in_its_shares(configured, whole):
    stopped = configured("stopped", "train.epochs=1").path
    configured("stopped", f"resume={stopped}", "train.epochs=2", "loader=in_memory")
    assert outcome(stopped) == outcome(whole)


def test_model_of_a_mix_is_evaluated_by_part(configured, whole):
    results = configured("again", "mode=evaluate", f"from_run={whole}").document["results"]
    first = read_run(whole)["results"]
    assert results["evaluate"]["loss"] == pytest.approx(first["evaluate"]["loss"], abs=1e-6)
    assert {name: part["samples"] for name, part in results["parts"].items()} == {
        name: part["samples"] for name, part in first["parts"].items()
    }
