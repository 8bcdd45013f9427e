"""The text of `--help`: two screens that lead on, and pages about a group, a key or a word."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.config.files import Library, open_library
from runner.config.jobs import defaults_of
from runner.config.schema import AnyKey, Node, Schema, Variants
from runner.errors import ConfigurationError
from runner.messages import did_you_mean, yaml_text

HEADER = """\
usage: python -m runner [flags] [group=choice ...] [key=value ...]

Train, evaluate and run a Keras model; choose how the data reaches it.

  python -m runner                                  1,797 digits, half a minute
  python -m runner data=directory data.root=photos  your own images
  python -m runner loader=in_memory train.epochs=5  another loader, fewer epochs
  python -m runner -m loader=sequence,generator     two jobs, each in a process

  keras-runner runs             list, compare and clean up earlier runs
  keras-runner report           draw the page of a run or a sweep again
  keras-runner examples         write small example data
"""

MORE = """\
more
  --help data                   the keys of data=digits, with their meanings
  --help data=arrays            those of another choice
  --help loader.workers         one key, or all that begin so
  --help stop                   keys whose name or meaning has a word
  --help all                    every key of what is chosen
"""

WHOLE = "all"
"""The topic that shows every key of the chosen components."""
PLAIN = "run"
"""The topic of the keys that are in no group."""

KEY_WIDTH = 34
NAME_WIDTH = 13
CHOICE_WIDTH = 26
OBVIOUS = ("true or false", "text")
"""Expected values that the key's value shows already."""


def help_text(words: Sequence[str], flags: str) -> str:
    """Usage, flags and groups; or, if `words` has topics or choices of groups, the keys that they are about.

    Raises `ConfigurationError` for a topic that no key is about.
    """
    with open_library() as library:
        overrides = [word for word in words if "=" in word or word.startswith(("~", "+"))]
        chosen = [group for group in library.groups if any(each.startswith(f"{group}=") for each in overrides)]
        topics = [word for word in words if word not in overrides] or chosen
        schema = Schema(described=True)
        if not topics:
            return "\n".join([HEADER, flags, *_groups(schema, library), "", MORE])
        pages = _Pages(schema, library, defaults_of(overrides, library))
        return "\n".join(line for topic in topics for line in pages.about(topic)).lstrip("\n") + "\n"


def _groups(schema: Schema, library: Library) -> Iterator[str]:
    """The keys in no group by name, and of each group what it is about and the choices there are."""
    nodes = schema.root["properties"]
    yield "keys (files of your own in ./conf/<group>/ are choices, too)"
    plain = ", ".join(name for name, node in nodes.items() if not _is_section(schema, node))
    yield from _wrapped(f"  {PLAIN}", plain, NAME_WIDTH)
    for name, node in nodes.items():
        if _is_section(schema, node):
            text = node["description"].partition(";")[0].removesuffix(".")
            yield from _wrapped(f"  {name}", f"{text}{_choices(library, name, ': ')}", NAME_WIDTH)


def _choices(library: Library, group: str, before: str) -> str:
    """The choices of a group if there are several, the default in brackets."""
    options, default = library.groups.get(group, ()), library.defaults.get(group)
    listed = ", ".join(f"[{option}]" if option == default else option for option in options)
    return f"{before}{listed}" if len(options) > 1 else ""


def _is_section(schema: Schema, node: Node) -> bool:
    return schema.variants(node) is not None or "properties" in schema.resolve(node)


class _Pages:
    """What is printed about a topic; values are those of `document`."""

    def __init__(self, schema: Schema, library: Library, document: dict[str, Any]) -> None:
        self._schema, self._library, self._document = schema, library, document
        self._nodes: Mapping[str, Node] = schema.root["properties"]

    def about(self, topic: str) -> Iterator[str]:
        """The lines about a topic: a group of keys, a key, or a word."""
        if topic in (WHOLE, PLAIN):
            for name, node in self._nodes.items():
                if not _is_section(self._schema, node):
                    yield from self._entry(name, node)
        if topic == WHOLE:
            for name in self._nodes:
                yield from self._section(name) if _is_section(self._schema, self._nodes[name]) else ()
        elif topic in self._nodes and _is_section(self._schema, self._nodes[topic]):
            yield from self._section(topic)
        elif topic != PLAIN:
            yield from self._found(topic)

    def _section(self, name: str) -> Iterator[str]:
        """A group of keys: what it is, the choices there are, and the keys of the one that is chosen."""
        value, node = self._document.get(name), self._nodes[name]
        kind = value.get("kind") if isinstance(value, dict) else None
        yield ""
        yield f"{name}: {node['description']}"
        yield from self._kinds(name, kind)
        keys = sorted(self._schema.keys(node, value, f"{name}."), key=lambda each: "default" in each[1])
        if kind and keys:
            yield from ("", f"  keys of {name}={kind}")
        for key, child in keys:  # those that must be given come first
            yield from self._entry(key, child)

    def _kinds(self, name: str, chosen: str | None) -> Iterator[str]:
        """The choices of a group: what each is, and the keys that it needs."""
        variants = self._schema.variants(self._nodes[name]) or Variants("kind", {})
        for kind in self._library.groups.get(name, ()) if variants.components else ():
            component = variants.components.get(kind, {})
            needed = [key for key in component.get("required", ()) if key != variants.property]
            needs = f"Needs {' and '.join(f'{name}.{key}' for key in needed)}." if needed else ""
            text = _meaning(component).partition("\n\n")[0] or f"conf/{name}/{kind}.yaml"
            mark = "*" if kind == chosen else " "
            yield from _wrapped(f"{mark} {name}={kind}", f"{text} {needs}".strip(), CHOICE_WIDTH)

    def _found(self, topic: str) -> Iterator[str]:
        """The keys that have this name or begin so; else those whose name has the word, then those that mean it."""
        every = [found for found in self._schema.all_keys() if self._is_said(found)]
        named = [found for found in every if f"{found.key}.".startswith(f"{topic}.")]
        if not named:
            word = topic.casefold()
            named = [found for found in every if word in found.key.casefold()]
            named += [found for found in every if found not in named and word in _meaning(found.node).casefold()]
        if not named:
            known = [*self._nodes, *(found.key for found in every), *(found.key.rpartition(".")[2] for found in every)]
            hint = did_you_mean(topic, dict.fromkeys(known)) or "; --help alone lists the groups of keys"
            raise ConfigurationError(f"--help {topic}: no key has this name, nor this word in its meaning{hint}")
        merged = [(same[0], self._owners(same)) for same in _merged(named)]
        for found, owners in sorted(merged, key=lambda each: bool(each[1])):
            yield from self._entry(found.key, found.node, owners)

    def _is_said(self, found: AnyKey) -> bool:
        """Whether a key is worth an entry: not a group whose keys have theirs."""
        is_open = _is_section(self._schema, found.node) and found.node.get("default", "") is not None
        return not is_open

    def _owners(self, same: Sequence[AnyKey]) -> str:
        """The choices that have a key, unless the present one does."""
        choices = dict.fromkeys(found.choice for found in same)
        if any(choice == "" or self._is_chosen(choice) for choice in choices):
            return ""
        names = [choice.partition("=")[2] if number else choice for number, choice in enumerate(choices)]
        return f"(only with {' or '.join(names)})"

    def _is_chosen(self, choice: str) -> bool:
        key, _, tag = choice.partition("=")
        value = _value(key, self._document)
        return bool(tag == (value.get("kind") if isinstance(value, dict) else value))

    def _entry(self, key: str, node: Node, owners: str = "") -> Iterator[str]:
        """The key with its value, and next to it its meaning and the values it accepts, wrapped."""
        value = MISSING if owners else _value(key, self._document)
        title = f"  {key}={yaml_text(node.get('default', '…') if value is MISSING else value)}"
        expected = self._schema.expected(node)
        shown = "" if expected in OBVIOUS else f"({expected})"
        yield from _wrapped(title, " ".join(filter(None, [_meaning(node), shown, owners])), KEY_WIDTH)


MISSING = object()


def _value(key: str, document: dict[str, Any]) -> Any:
    value: Any = document
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return MISSING
        value = value[part]
    return value


def _meaning(node: Node) -> str:
    return str(node.get("description", ""))


def _merged(found: Sequence[AnyKey]) -> list[list[AnyKey]]:
    """Keys of several components that mean the same, together."""
    merged: dict[tuple[str, str], list[AnyKey]] = {}
    for each in found:
        merged.setdefault((each.key, _meaning(each.node)), []).append(each)
    return list(merged.values())


def _wrapped(title: str, text: str, width: int) -> Iterator[str]:
    """A title of up to `width` columns, and the text next to it, in lines that fit the terminal."""
    columns = max(shutil.get_terminal_size().columns, width + 40)
    lines = textwrap.wrap(text, columns - width, break_on_hyphens=False) or [""]
    if len(title) >= width:
        yield title
        title = ""
    for line in lines:
        yield f"{title:<{width}}{line}".rstrip()
        title = ""
