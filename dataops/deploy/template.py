"""CloudFormation templates as values: read with their short tags (`!Ref`, `!Sub`, ...) kept, and written with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from dataops._yaml import UniqueKeyLoader, parse_yaml, read_yaml
from dataops.deploy.machine import DEFINITION
from dataops.errors import BatchFileError

TEMPLATE = DEFINITION.with_name("template.yml")


class Tagged(NamedTuple):
    """An intrinsic function in its short form: `!Ref Topic` is Tagged("Ref", "Topic")."""

    tag: str
    value: Any


class _Loader(UniqueKeyLoader):
    """Takes any short tag."""


class _Dumper(yaml.SafeDumper):
    """Writes no aliases: CloudFormation takes none."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _construct_tagged(loader: _Loader, suffix: str, node: yaml.Node) -> Tagged:
    if isinstance(node, yaml.ScalarNode):
        return Tagged(suffix, loader.construct_scalar(node))
    if isinstance(node, yaml.SequenceNode):
        return Tagged(suffix, loader.construct_sequence(node, deep=True))
    assert isinstance(node, yaml.MappingNode)
    return Tagged(suffix, loader.construct_mapping(node, deep=True))


def _represent_tagged(dumper: _Dumper, tagged: Tagged) -> yaml.Node:
    tag, value = f"!{tagged.tag}", tagged.value
    if isinstance(value, list):
        return dumper.represent_sequence(tag, value, flow_style=True)
    return dumper.represent_mapping(tag, value) if isinstance(value, dict) else dumper.represent_scalar(tag, str(value))


_Loader.add_multi_constructor("!", _construct_tagged)
_Dumper.add_representer(Tagged, _represent_tagged)


def read_template(path: Path = TEMPLATE) -> dict[str, Any]:
    """The template in a file; each intrinsic function in it is a `Tagged`. Raises BatchFileError with the line."""
    return _require_template(read_yaml(path, _Loader), path.name)


def parse_template(text: str, where: str = "template") -> dict[str, Any]:
    """The template in a text; raises BatchFileError, which begins with `where` and the line."""
    return _require_template(parse_yaml(text, where, _Loader), where)


def _require_template(found: Any, where: str) -> dict[str, Any]:
    if not isinstance(found, dict) or not isinstance(found.get("Resources"), dict):
        raise BatchFileError(f"{where}: expected a CloudFormation template with Resources")
    return found


def write_template(template: dict[str, Any]) -> str:
    """The template as YAML with its short tags, without comments."""
    return yaml.dump(template, Dumper=_Dumper, sort_keys=False, width=120, default_flow_style=None, allow_unicode=True)


def write_line(part: Any) -> str:
    """A part of a template in one line, to be told; a text as it stands."""
    if isinstance(part, str):
        return part
    text = yaml.dump(part, Dumper=_Dumper, sort_keys=False, width=10**6, default_flow_style=True, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def of_type(template: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Logical id and properties of each resource of a type, such as AWS::IAM::Role."""
    for name, resource in template["Resources"].items():
        if resource.get("Type") == kind:
            yield name, resource.get("Properties", {})


def walk(value: Any, tag: str) -> Iterator[Any]:
    """The values of all intrinsic functions of one kind in a part of a template, from the outside in."""
    if isinstance(value, Tagged):
        if value.tag == tag:
            yield value.value
        value = value.value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        yield from walk(part, tag)
