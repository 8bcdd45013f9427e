"""What is not as it was when a run was done before, and may be why the same did not come of it."""

from __future__ import annotations

from collections.abc import Iterator

from runner.records.diff import changed_code, changed_keys, changed_packages
from runner.records.earlier import FirstRun

OF_THE_RUN = ("rerun", "verify", "extensions", "resume", "resume_inexact", "tracker")
"""Keys of the configuration that say nothing of what a run comes to."""


def likely_causes(before: FirstRun, now: FirstRun) -> Iterator[str]:
    """Configuration, packages, code, environment and machine, as far as they differ."""
    then, here = before.document, now.document
    for key, text in changed_keys(before.config, now.config):
        if key.partition(".")[0] not in OF_THE_RUN:
            yield text
    if any(again.get("inexact") for again in then.get("resumed", ())):
        yield "the first run was resumed with resume_inexact=true"
    # A record of an earlier version has the main packages only.
    installed = {**here.get("packages", {}), **here["versions"]}
    yield from changed_packages({**then.get("packages", {}), **then["versions"]}, installed)
    yield from changed_code(then["git"], here["git"])
    for section in ("environment", "machine"):
        if section in then:
            known = {name: value for name, value in here[section].items() if name in then[section]}
            shared = known if section == "machine" else here[section]
            yield from (text for _, text in changed_keys({section: then[section]}, {section: shared}))
