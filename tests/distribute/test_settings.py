"""The keys of training on several devices, and what they cannot go with."""

import pytest

from runner import compose
from runner.distribute.launch import refuse_apart
from runner.errors import ConfigurationError


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
        (["backend=jax", "loader.order=blocks"], "distribute.processes must be 1 with loader.order=blocks"),
        (
            ["backend=jax", "data=none", "loader=custom", "loader.target=my_module.f", "extensions=[my_module]"],
            "distribute.processes must be 1 with loader=custom",
        ),
    ],
)
def test_processes_that_cannot_share_are_refused(keys, reason):
    with pytest.raises(ConfigurationError, match=reason):
        compose([*keys, "distribute.processes=2"])


def test_processes_are_refused_from_python(tmp_path, digits_root):
    from runner.modes.run import run

    settings = compose(["backend=jax", "distribute.processes=2", f"data.root={digits_root}"])
    with pytest.raises(ConfigurationError, match="distribute.processes must be 1 in a sweep or from Python, got 2"):
        run(settings, folder=tmp_path)
    assert not list(tmp_path.iterdir())
