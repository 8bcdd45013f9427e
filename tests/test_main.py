"""The command line: exit codes, what is printed, what is imported, what is left behind."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

import runner
import runner.modes.run
from runner import __main__ as cli
from runner.errors import BadSampleError, DataError, Terminated
from runner.exit import complain
from runner.records.metrics import MetricsTable

ROOT = Path(__file__).parents[1]
HEAVY = {"keras", "tensorflow", "jax", "pandas", "PIL", "cv2", "sklearn", "scipy"}
QUICK = ["mode=fit", "train.epochs=1", "model=mlp"]


def start(*arguments, cwd):
    """`python -m runner` in a process of its own."""
    command = [sys.executable, "-m", "runner", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def only_run(place):
    """run.json of the only run there."""
    (folder,) = (place / "outputs/runs").iterdir()
    return json.loads((folder / "run.json").read_text())


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def fake_run(monkeypatch):
    """Runs that only note what they were given, and raise what the test puts into `.raises`, by seed."""

    def run(settings, *, folder, origin):
        run.calls.append((settings, folder, origin))
        if folder is not None:
            (folder / "run.json").touch()
        if settings.seed in run.raises:
            raise run.raises[settings.seed]

    run.calls, run.raises = [], {}
    monkeypatch.setattr(sys.modules["runner.modes.run"], "run", run)
    return run


# In processes of their own: speed, imports, exit codes as the shell sees them


def test_wrong_configuration_exits_with_2(tmp_path):
    done = start("loader.batch_sise=8", "loader.workers=x", "data.class_mode=bianry", "train.epochs=-2", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: 4 problems in the configuration\n  ")
    assert len(done.stderr.splitlines()) == 5
    assert list(tmp_path.iterdir()) == []


def test_help_imports_nothing_heavy(tmp_path):
    code = (
        "import sys; import runner.__main__ as m; m.execute(['--help', 'loader']); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "loader.batch_size=32" in done.stdout
    assert not set(done.stderr.split()) & HEAVY


def test_wrong_configuration_imports_lightly(tmp_path):
    code = "import sys; import runner.__main__ as m; m.execute(['sead=1']); print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": ""}  # no module of the tests' own
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert not set(done.stdout.split()) & HEAVY
    assert not set(done.stdout.split()) & {
        "multiprocessing",
        "psutil",
        "runner.loaders.loader",
        "runner.records.record",
    }
    assert len(done.stdout.split()) < 600  # most of them Hydra's and pydantic's
    assert done.stderr == "error: unknown key 'sead'; did you mean 'seed'?\n"


def test_importing_the_package_is_light():
    code = "import sys; before = set(sys.modules); import runner; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {name for name in done.stdout.split() if name.split(".")[0] in HEAVY | {"pydantic", "hydra", "numpy"}}


@pytest.mark.parametrize("module", ["argparse", "omegaconf"])
def test_ctrl_c_during_the_imports_is_one_line(module, tmp_path):
    code = "import os, signal, time; exec('os.kill(os.getpid(), signal.SIGINT); time.sleep(60)')"
    (tmp_path / f"{module}.py").write_text(code)  # imported in place of the one installed
    done = start("--cfg", "job", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: interrupted\n")


@pytest.mark.parametrize(
    ("before", "code"),
    [
        ("sys.modules['tensorflow'] = sys", 1),  # its threads wait for a batch after an interrupted fit
        ("threading.Thread(target=threading.Event().wait).start()", 0),
        ("signal.raise_signal(signal.SIGINT)", 130),  # Python might end by SIGINT, whatever the exit code
    ],
)
def test_process_ends_with_its_code_at_once(before, code):
    lines = ["import signal, sys, threading", "from runner.exit import leave", "sys.stdout.write('written')"]
    lines += ["try:", f"    {before}", "except KeyboardInterrupt:", "    pass", f"leave({code})", "sys.exit('stayed')"]
    command = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (code, "written", "")


# In this process: what is done with the flags and with the errors of a run


def test_run_folder_has_hydra_files_and_command(here, digits_root, empty_pages):
    overrides = [*QUICK, f"data.root={digits_root}"]
    assert cli.execute(overrides) == 0
    (folder,) = (here / "outputs/runs").iterdir()
    assert {file.name for file in (folder / ".hydra").iterdir()} == {"config.yaml", "hydra.yaml", "overrides.yaml"}
    record = json.loads((folder / "run.json").read_text())
    assert record["argv"] == record["overrides"] == overrides
    assert (here / "outputs/latest").resolve() == folder


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_ends_a_run_and_closes_its_record(here, digits_root, monkeypatch, empty_pages, sent, code):
    append = MetricsTable.append

    def noted(table, epoch, row):
        append(table, epoch, row)
        if epoch == 2:
            threading.Timer(0.05, os.kill, (os.getpid(), sent)).start()  # somewhere in the epochs that follow

    monkeypatch.setattr(MetricsTable, "append", noted)
    quick = ["mode=fit", "model=mlp", "data.limit=32", "train.epochs=5000"]
    assert cli.execute([*quick, f"data.root={digits_root}"]) == code
    assert only_run(here)["status"] == "interrupted"


def test_run_is_given_settings_folder_and_origin(here, fake_run):
    (here / "conf/loader").mkdir(parents=True)
    (here / "conf/loader/mine.yaml").write_text("defaults: [sequence]\n")
    assert cli.execute(["seed=5", "loader=mine"]) == 0
    ((settings, folder, origin),) = fake_run.calls
    assert settings.seed == 5
    assert sorted(file.name for file in folder.iterdir()) == [".hydra", "run.json"]
    assert origin.argv == ["seed=5", "loader=mine"]
    assert origin.overrides == ("seed=5", "loader=mine")
    assert origin.foreign_files == (here / "conf/loader/mine.yaml",)


@pytest.mark.parametrize(
    ("error", "code", "printed"),
    [
        (DataError("no images under photos"), 4, "error: no images under photos\n"),
        (BadSampleError("a.png", "torn"), 4, "error: a.png: torn\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
        (Terminated(), 143, "error: interrupted\n"),
    ],
)
def test_run_error_has_no_traceback(error, code, printed, here, fake_run, capsys):
    fake_run.raises[0] = error
    assert cli.execute([]) == code
    assert capsys.readouterr().err == printed


def test_bug_keeps_its_traceback(here, fake_run, capsys):
    fake_run.raises[0] = ZeroDivisionError("by zero")
    assert cli.execute([]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback")
    assert "HYDRA_FULL_ERROR" not in printed
    assert printed.endswith("ZeroDivisionError: by zero\n")


def test_no_job_starts_where_one_is_wrong(here, fake_run, capsys):
    assert cli.execute(["-m", "seed=0,x"]) == 2
    assert fake_run.calls == []
    assert not (here / "outputs").exists()
    assert capsys.readouterr().err.endswith("got 'x' (job 1: seed=x)\n")


def test_sigterm_handler_is_put_back(here, fake_run):
    before = signal.getsignal(signal.SIGTERM)
    cli.execute([])
    assert signal.getsignal(signal.SIGTERM) is before


def test_cfg_output_composes_to_itself(here, capsys):
    import yaml

    assert cli.execute(["--cfg", "job", "loader=generator", "seed=3"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed == json.loads(runner.compose(["loader=generator", "seed=3"]).model_dump_json())
    assert not (here / "outputs").exists()


def test_json_schema_has_descriptions(here, capsys):
    assert cli.execute(["--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["properties"]["seed"]["description"].startswith("The seed of everything random")


def test_help_may_stand_anywhere(here, capsys):
    assert cli.execute(["loader=generator", "-h", "model=mlp"]) == 0
    printed = capsys.readouterr().out
    assert "  keys of model=mlp\n" in printed and "  keys of loader=generator\n" in printed


def test_version_is_printed(here, capsys):
    assert cli.execute(["--version"]) == 0
    assert capsys.readouterr().out.startswith("keras-runner ")


def test_hydra_answers_its_own_flags(here, capsys):
    assert cli.execute(["--info", "searchpath"]) == 0
    assert str(ROOT / "conf") in capsys.readouterr().out
    assert not HydraConfig.initialized()  # it outlives an application of Hydra's


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hepl"], "unknown flag --hepl; did you mean '--help'?"),
        (["-x"], "unknown flag -x; see --help"),
        (["--epochs=3"], "unknown flag --epochs=3; keys have no dashes; did you mean 'train.epochs'?"),
        (
            ["--batch-size", "seed=3"],
            "unknown flag --batch-size; keys have no dashes; did you mean 'loader.batch_size'?",
        ),
        (
            ["--shell-completion", "install=tcsh"],
            "--shell-completion must go with install=bash, install=zsh or install=fish, got install=tcsh",
        ),
        (["--multirn", "seed=1,2"], "unknown flag --multirn; did you mean '--multirun'?"),
        (["--cfg", "hydra"], "argument -c/--cfg: invalid choice: 'hydra' (choose from 'job'); see --help"),
        (["--cfg", "job", "-m"], "--cfg prints one configuration; leave out -m and lists of values"),
        (["--config-dir", "x"], "--config-dir (or $KERAS_RUNNER_CONFIG_DIR) must be an existing folder, got x"),
        (
            ["--config-name=x"],
            "--config-name is not supported: choose a file of each group instead, as in loader=generator",
        ),
        (["--resolve"], "--resolve is not supported: --cfg job is resolved already"),
    ],
)
def test_unknown_or_unsupported_flag_is_refused(arguments, message, here, capsys):
    assert cli.execute(arguments) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


@pytest.mark.parametrize(
    ("shell", "found"), [("bash", "--schema --shell-completion\n"), ("fish", "--schema\n--shell-completion\n")]
)
def test_completion_answers_the_shell(shell, found, here, capsys, monkeypatch):
    monkeypatch.setenv("COMP_LINE", "keras-runner --s")
    assert cli.execute(["-sc", f"query={shell}"]) == 0
    assert capsys.readouterr().out == found


@pytest.mark.parametrize("name", ["runs", "report", "examples"])
def test_subcommand_answers_as_its_module(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["keras-runner", name, "--help"])
    monkeypatch.setattr(cli, "leave", lambda code: None)
    assert cli.main() == 0
    printed = capsys.readouterr().out
    assert f"python -m runner.{name}" in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_package_runs_from_python(fake_run):
    assert runner.run(runner.compose([]), folder=None, origin=None) is None
    assert len(fake_run.calls) == 1


def test_package_offers_the_dataset_of_a_loader():
    from runner.feeds.dataset import LoaderDataset

    assert runner.LoaderDataset is LoaderDataset


def test_package_names_what_it_lacks():
    with pytest.raises(AttributeError, match="module 'runner' has no attribute 'nope'"):
        _ = runner.nope


def test_loader_sweep_repeats_batches_and_weights(tmp_path, digits_root):
    overrides = ["loader=in_memory,sequence", "loader.batch_size=16", *QUICK, "data.limit=40"]
    done = start("-m", *overrides, f"data.root={digits_root}", "sweep.jobs=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 jobs differ only in the loader: same batches, same pixels, same weights\n" in done.stdout
    (folder,) = (tmp_path / "outputs/sweeps").iterdir()
    assert {"report.html", "summary.md", "sweep.csv"} <= {file.name for file in folder.iterdir()}
    assert {"config.yaml", ".hydra", "run.json", "run.log", "output.log", "model.keras"} <= {
        file.name for file in (folder / "1").iterdir()
    }
    record = json.loads((folder / "1/run.json").read_text())
    assert record["overrides"] == ["loader=sequence", *overrides[1:], f"data.root={digits_root}"]
    assert record["argv"][0] == "-m"


def test_error_lines_escape_control_characters(capsys):
    complain("no file \x1b[2J\udce9.png", "second\nthird")
    assert capsys.readouterr().err == "error: no file \\x1b[2J\\udce9.png\n  second\n  third\n"


def test_error_breaks_between_words_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "30")
    complain("no run matches this name; python -m runner.runs list shows all")
    assert capsys.readouterr().err.splitlines() == [
        "error: no run matches this",
        "  name;",
        "  python -m runner.runs list shows all",
    ]
