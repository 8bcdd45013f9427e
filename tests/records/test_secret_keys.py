"""Secrets of a configuration are kept where a run needs them, and masked where it is shown."""

import json

import yaml

from runner import compose
from runner.config.jobs import prepare
from runner.config.launch import write_hydra_files
from runner.records.config_yaml import with_former_values, write_config
from runner.records.record import RunRecord
from runner.records.run_folder import RunFolder
from runner.records.secret_keys import masked, secret_values
from runner.reports.page import render

DOCUMENT = {
    "data": {"arguments": {"api_token": "TYPEDSECRET", "size": 3, "login": {"user": "me", "password": "hunter22"}}},
    "tracker": {"uri": "http://me:PASSINURI@host:80/x"},
    "train": {"keys": ["a"], "tokenizer": "words", "token": None},
}
SECRETS = ["TYPEDSECRET", "hunter22", "PASSINURI"]


def test_secrets_are_found_by_their_keys():
    assert list(secret_values(DOCUMENT)) == SECRETS
    assert list(secret_values(compose([]).document())) == []


def test_masked_copy_holds_no_secret():
    copy = masked({**DOCUMENT, "argv": ["data.arguments={api_token: TYPEDSECRET}"]}, SECRETS)
    assert not [secret for secret in SECRETS if secret in json.dumps(copy)]
    assert copy["train"] == DOCUMENT["train"]
    assert copy["tracker"]["uri"] == "http://me:***@host:80/x"
    assert DOCUMENT["data"]["arguments"]["api_token"] == "TYPEDSECRET"


def test_page_shows_no_secret_and_rerun_keeps_it(tmp_path):
    write_config(tmp_path, DOCUMENT)
    record = RunRecord.open(tmp_path, backend="jax", overrides=["data.arguments={api_token: TYPEDSECRET}"])
    record.close("failed", ValueError("no login with hunter22 at http://me:PASSINURI@host"))
    page = render(RunFolder(tmp_path))
    assert "***" in page
    assert not [secret for secret in SECRETS if secret in page]
    assert RunFolder(tmp_path).config == with_former_values(DOCUMENT)


def test_files_of_hydra_hold_no_secret(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("runner.config.compose.not_installed", lambda packages: ())
    (tmp_path / "src.py").write_text("class Samples: pass\n")
    secrets = ["data.arguments={login: {pwd: qz1}}", "data.arguments.token=qz2", "data.arguments.note=of-TYPEDSECRET"]
    custom = ["extensions=[src]", "data=custom", "data.target=src.Samples", "data.arguments.key=TYPEDSECRET", *secrets]
    job = prepare(["tracker=mlflow", "tracker.uri=http://me:PASSINURI@host", *custom])
    write_hydra_files(job, tmp_path)
    texts = [file.read_text() for file in (tmp_path / ".hydra").glob("*.yaml")]
    assert len(texts) == 3
    assert not [text for text in texts for secret in ("PASSINURI", "qz1", "qz2", "TYPEDSECRET") if secret in text]
    assert all(yaml.safe_load(text) for text in texts)
