"""YAML as we read it: safe, a key written twice refused (which YAML itself lets pass), each fault with its place."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from dataops.errors import BatchFileError


class UniqueKeyLoader(yaml.SafeLoader):
    """`yaml.SafeLoader`, but a repeated key is an error with its place."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """The mapping at `node`; raises yaml.MarkedYAMLError for a key that stands there twice."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, "expected a text as key", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key '{key}' stands here twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value at `node`; raises yaml.MarkedYAMLError where its text is none of its type (a 31 February)."""
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error


def read_yaml(path: Path, loader: type[UniqueKeyLoader] = UniqueKeyLoader) -> Any:
    """What a YAML file holds. Raises BatchFileError: one line with file, place, what is wrong."""
    try:
        return parse_yaml(path.read_text(encoding="utf-8"), path.name, loader)
    except OSError as error:
        raise BatchFileError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BatchFileError(f"{path}: is not UTF-8 text (byte {error.start})") from error


def parse_yaml(text: str, where: str, loader: type[UniqueKeyLoader] = UniqueKeyLoader) -> Any:
    """What a YAML text holds; `where` begins every error's text. Raises BatchFileError."""
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise BatchFileError(f"{where}{line}: not valid YAML: {error.problem}") from error
    except yaml.reader.ReaderError as error:
        number = text.count("\n", 0, error.position) + 1
        raise BatchFileError(f"{where}:{number}: not valid YAML: holds a control character") from error
    except RecursionError:
        raise BatchFileError(f"{where}: is nested too deeply to be read") from None
