"""Feeds on the backends that this process does not use, each in one process: its import takes seconds."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.fixture(scope="module", params=["jax", "torch"])
def elsewhere(request):
    """The process of another backend, which is over."""
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    environment = {**os.environ, "KERAS_BACKEND": request.param}
    command, root = [sys.executable, "-m", "tests.feeds.other_backend"], Path(__file__).parents[2]
    ended = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True)
    assert f"backend {request.param}" in ended.stdout.splitlines(), ended.stderr
    return ended


@pytest.mark.parametrize("check", ["batches_match_their_ids", "stalls_are_found_again"])
def test_other_backends_feed_alike(elsewhere, check):
    assert f"{check} True" in elsewhere.stdout.splitlines(), elsewhere.stderr


def test_two_steps_are_in_flight_at_most_on_jax(elsewhere):
    if "backend jax" not in elsewhere.stdout.splitlines():
        pytest.skip("JAX alone runs ahead of the device")
    assert "two_steps_are_in_flight_at_most True" in elsewhere.stdout.splitlines(), elsewhere.stderr


def test_processes_of_other_backends_succeed(elsewhere):
    assert elsewhere.returncode == 0, elsewhere.stderr
