"""The keys of training on several devices, and what they cannot go with."""

import json
from types import SimpleNamespace

import pytest

from runner import compose
from runner.distribute.launch import refuse_apart
from runner.errors import ConfigurationError, DataError, RunnerError, Terminated
from runner.modes.together import Origin, is_together, run_together


@pytest.mark.parametrize("devices", ["all", 1, 4])
def test_devices_are_a_number_or_all(devices):
    assert compose(["backend=jax", f"distribute.devices={devices}"]).distribute.devices == devices


@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_devices_need_jax(backend):
    with pytest.raises(ConfigurationError, match=f"distribute.devices must be null with backend={backend}, got all"):
        compose([f"backend={backend}", "distribute.devices=all"])


@pytest.mark.parametrize("devices", ["0", "some", "true"])
def test_other_devices_are_refused(devices):
    with pytest.raises(ConfigurationError, match="distribute.devices must be"):
        compose(["backend=jax", f"distribute.devices={devices}"])


LAUNCHED = {
    "torchrun": {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2"},
    "mpirun": {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4"},
    "srun": {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "2"},
}


@pytest.mark.parametrize("launcher", LAUNCHED)
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_processes_of_a_launcher_are_refused(launcher, backend):
    with pytest.raises(ConfigurationError, match=f"a run must be started as one process, got {launcher} with"):
        refuse_apart(backend, LAUNCHED[launcher])


def test_several_processes_of_torch_are_refused():
    refuse_apart("jax", {"WORLD_SIZE": "2"})  # some hosts set it for everything that starts there
    with pytest.raises(ConfigurationError, match="got WORLD_SIZE=2 with backend=torch"):
        refuse_apart("torch", {"WORLD_SIZE": "2"})


ALONE = {
    "one process of torchrun": {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "1"},
    "a batch script of SLURM": {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"},
    "one task of srun": {"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "1"},
    "a variable that is no number": {"WORLD_SIZE": ""},
}


@pytest.mark.parametrize("environment", ALONE.values(), ids=ALONE)
def test_one_process_of_a_launcher_may_run(environment):
    refuse_apart("torch", environment)


@pytest.fixture
def in_torchrun(monkeypatch, tmp_path):
    for name, value in LAUNCHED["torchrun"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_run_of_a_launcher_leaves_no_folder(in_torchrun, capsys):
    from runner.__main__ import execute

    assert execute(["mode=fit"]) == 2
    assert "a run must be started as one process" in capsys.readouterr().err
    assert not list(in_torchrun.iterdir())


def test_sweep_of_a_launcher_leaves_no_folder(in_torchrun, capsys):
    from runner.__main__ import execute

    assert execute(["-m", "mode=fit", "seed=1,2"]) == 2
    assert "a run must be started as one process" in capsys.readouterr().err
    assert not list(in_torchrun.iterdir())


@pytest.mark.parametrize("keys", [["seed=1,2"], ["train.learning_rate=interval(0.1,1)", "sweep.search=random"]])
def test_sweep_of_torch_in_several_is_refused(monkeypatch, keys):
    from runner.commands.prepare_sweep import prepare_sweep

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("runner.component.Package.is_installed", True)  # PyTorch may be missing here
    with pytest.raises(ConfigurationError, match="got WORLD_SIZE=2 with backend=torch"):
        prepare_sweep(["mode=fit", "backend=torch", *keys])


def test_check_may_run_under_a_launcher(in_torchrun, digits_root):
    from runner.__main__ import execute

    assert execute(["mode=check", f"data.root={digits_root}", "data.limit=4"]) == 0


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        (["backend=tensorflow"], "distribute.processes must be 1 with backend=tensorflow, got 2"),
        (
            ["backend=jax", "distribute.devices=all"],
            "distribute.devices must be a number or null with several processes",
        ),
        (["backend=jax", "data.on_bad=skip"], "distribute.processes must be 1 with data.on_bad=skip"),
        (
            ["backend=jax", "data=none", "loader=custom", "loader.target=my_module.f", "extensions=[my_module]"],
            "distribute.processes must be 1 with loader=custom",
        ),
    ],
)
def test_processes_that_cannot_share_are_refused(keys, reason):
    with pytest.raises(ConfigurationError, match=reason):
        compose([*keys, "distribute.processes=2"])


@pytest.fixture
def ranks(monkeypatch):
    """What starts the ranks notes their number, leaves this error in a record, and ends with this exit code."""

    class Ranks:
        code, error, started = 0, None, ()

        def supervise(self, world, restarts, order_of, folder):
            self.started = (*self.started, (world.size, restarts, json.loads(order_of(0))["settings"]["mode"]))
            (folder / "ranks").mkdir(exist_ok=True)
            with (folder / "ranks" / "1.log").open("a") as log:
                log.write("-- start\n")
            (folder / "ranks" / "done").unlink(missing_ok=True)
            if self.code in (0, 4):
                (folder / "run.json").write_text(json.dumps({"error": self.error, "status": "completed"}))
            return self.code

    made = Ranks()
    monkeypatch.setattr("runner.modes.together.supervise", made.supervise)
    return made


def from_python(digits_root, folder):
    from runner.modes.run import run

    return run(compose(["backend=jax", "distribute.processes=2", f"data.root={digits_root}"]), folder=folder)


def test_python_starts_the_ranks_of_a_run(ranks, tmp_path, digits_root):
    record = from_python(digits_root, tmp_path)
    assert ranks.started == ((2, 2, "run"),)
    assert (record.path, record.document["status"]) == (tmp_path, "completed")


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        (2, ConfigurationError, "ended with exit code 2; see their messages"),
        (4, DataError, "^a.png: torn$"),
        (1, RunnerError, "exit code 1"),
        (130, KeyboardInterrupt, "^$"),
        (143, Terminated, "^$"),
    ],
)
def test_error_of_the_ranks_is_raised(ranks, tmp_path, digits_root, code, kind, message):
    ranks.code, ranks.error = code, {"type": "BadSampleError", "message": "a.png: torn"}
    with pytest.raises(kind, match=message):
        from_python(digits_root, tmp_path)


def test_job_of_a_sweep_starts_its_ranks(ranks, tmp_path, digits_root, monkeypatch):
    from runner import job

    settings = compose(["backend=jax", "distribute.processes=2", f"data.root={digits_root}"]).document()
    plan = SimpleNamespace(
        argv=(),
        jobs=[SimpleNamespace(overrides=(), foreign_files=())],
        job_folder=lambda number: tmp_path,
        config=lambda number, resume: settings,
    )
    monkeypatch.setattr(job, "read_sweep", lambda sweep: plan)
    assert job._do(tmp_path, 0, resume=False) == 0
    assert ranks.started == ((2, 2, "run"),)


def test_command_starts_the_ranks_of_a_run(ranks, tmp_path, digits_root, monkeypatch):
    from runner.__main__ import execute

    monkeypatch.chdir(tmp_path)
    ranks.code = 4
    assert execute(["backend=jax", "mode=fit", "distribute.processes=2", f"data.root={digits_root}"]) == 4
    assert ranks.started == ((2, 2, "fit"),)


@pytest.mark.parametrize(
    ("mode", "together"), [("evaluate", True), ("predict", True), ("export", False), ("check", False)]
)
def test_ranks_use_earlier_runs_but_read_no_data(ranks, tmp_path, mode, together):
    settings = compose(["backend=jax", "distribute.processes=2"]).model_copy(update={"mode": mode})
    assert is_together(settings) == together
    if together:
        run_together(settings, tmp_path, Origin())
        assert ranks.started == ((2, None, mode),)  # which has no state to start again from


def test_refused_ranks_leave_no_folder(ranks, tmp_path, digits_root, monkeypatch):
    from runner.__main__ import execute

    monkeypatch.chdir(tmp_path)
    ranks.code = 2
    assert execute(["backend=jax", "distribute.processes=2", f"data.root={digits_root}"]) == 2
    assert ranks.started and not list((tmp_path / "outputs" / "runs").iterdir())


def test_refused_ranks_change_no_earlier_run(ranks, tmp_path):
    (tmp_path / "run.json").write_text("{}")
    logs = tmp_path / "ranks"
    logs.mkdir()
    for name, text in {"1.log": "earlier\n", "done": ""}.items():
        (logs / name).write_text(text)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    settings, ranks.code = compose(["backend=jax", "distribute.processes=2"]), 2
    assert run_together(settings, tmp_path, Origin()) == 2
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_log_of_a_killed_rank_is_kept(ranks, tmp_path):
    settings, ranks.code = compose(["backend=jax", "distribute.processes=2"]), 1
    assert run_together(settings, tmp_path, Origin()) == 1
    assert (tmp_path / "ranks" / "1.log").exists()
