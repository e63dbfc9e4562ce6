"""From batch files to a change set: build, prove, compose, upload. Nothing is changed before it is executed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from dataops.batch import Batch
from dataops.core.normalize import Codec
from dataops.deploy.cloudformation import ChangeSet, StackInPlace, find_stack, make_change_set
from dataops.deploy.compose import compose
from dataops.deploy.explain import explain
from dataops.deploy.machine import DEFINITION
from dataops.deploy.package import build_zip, zip_name
from dataops.deploy.proof import FileProof, require_same_code, require_same_zip
from dataops.deploy.tables import undeclared_keys
from dataops.deploy.template import parse_template, write_template
from dataops.errors import BatchFileError, DataOpsError, Permanent
from dataops.flow import Flow

STACK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,22}")
"""Names of functions and schedules begin with the stack's, and have 64 characters at most."""
OURS = ("CodeBucket", "CodeKey", "DefinitionKey")


class Release(NamedTuple):
    """What is deployed: the zip with its proof, the machine's definition and the composed template, as they are uploaded."""

    batches: tuple[str, ...]
    flows: tuple[str, ...]
    zip: bytes
    proofs: tuple[FileProof, ...]
    definition: bytes
    template: dict[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its batches, then of its flows."""
        return (*self.batches, *self.flows)

    @property
    def template_text(self) -> str:
        """The composed template as YAML."""
        return write_template(self.template)

    @property
    def keys(self) -> dict[str, str]:
        """The parameters that name what is uploaded."""
        return {"CodeKey": zip_name(self.zip), "DefinitionKey": _key("batch", self.definition, "asl.json")}

    @property
    def counts(self) -> dict[str, int]:
        """How many resources of each type the template has."""
        types = [resource["Type"] for resource in self.template["Resources"].values()]
        return {name: types.count(name) for name in sorted(set(types))}


def build_release(
    batches: Sequence[Batch], zip_path: Path | None = None, workers: int = 4, flows: Sequence[Flow] = ()
) -> Release:
    """Build everything for these batches and flows (with their steps). Raises Permanent when imported code is not in the zip, or `zip_path` differs.

    The source is read only for key types that a batch does not declare.
    """
    content = build_zip(batches)
    if zip_path is not None:
        require_same_zip(zip_path.read_bytes(), content, str(zip_path))
    proofs = require_same_code(content)
    codecs = {batch.batch: _read_codec(batch) for batch in batches if undeclared_keys(batch)}
    template = compose(batches, codecs, workers=workers, flows=flows)
    names = tuple(sorted(batch.batch for batch in batches)), tuple(sorted(flow.flow for flow in flows))
    return Release(*names, content, tuple(proofs), DEFINITION.read_bytes(), template)


def require_name(stack: str) -> str:
    """Raises BatchFileError unless a stack may be called so."""
    if not STACK_NAME.fullmatch(stack):
        raise BatchFileError("stack: expected a letter, then up to 22 letters, digits or -; found another name")
    return stack


def require_all_named(there: StackInPlace | None, named: Sequence[str], removed: Sequence[str], stack: str) -> None:
    """Raises BatchFileError when the stack holds a batch or flow that was neither named nor is to be removed."""
    held = there.held if there else ()
    if unknown := sorted(set(removed) - set(held)):
        raise BatchFileError(f"stack {stack}: holds no batch or flow {', '.join(unknown)}, so it cannot be removed")
    if both := sorted(set(removed) & set(named)):
        raise BatchFileError(f"{', '.join(both)}: is both to be deployed and to be removed; choose one")
    if missing := sorted(set(held) - set(named) - set(removed)):
        raise BatchFileError(
            f"stack {stack}: also holds {', '.join(missing)}, which was not named: name it too, or say "
            f"{' '.join(f'--remove {name}' for name in missing)}"
        )


def read_parameters(given: Sequence[str], release: Release) -> dict[str, str]:
    """`NAME=VALUE` texts as a mapping. Raises BatchFileError for a name that the template does not have."""
    known = release.template["Parameters"].keys() - set(OURS)
    parameters = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise BatchFileError(f"parameter {name}: expected NAME=VALUE with one of {', '.join(sorted(known))}")
        parameters[name] = value
    return parameters


def prepare(
    clients: Mapping[str, Any],
    release: Release,
    stack: str,
    bucket: str,
    parameters: Mapping[str, str],
    removed: Sequence[str] = (),
) -> ChangeSet | None:
    """Upload a release and make its change set, None where nothing changes; nothing is uploaded where it is refused.

    `clients` holds boto3's for s3 and cloudformation, `removed` the batches and flows that the stack is to hold no longer.
    """
    there = find_stack(clients["cloudformation"], stack)
    require_all_named(there, release.names, removed, stack)
    if there and there.status == "ROLLBACK_COMPLETE":
        raise Permanent(
            f"stack {stack}: its first deployment was rolled back; delete it (dataops deploy --delete), then deploy"
        )
    url = upload(clients["s3"], release, bucket)
    wanted = frozenset(release.template["Parameters"])
    given = {**parameters, **release.keys, "CodeBucket": bucket}
    made = make_change_set(clients["cloudformation"], stack, url, given, there, wanted)
    if made is None or there is None:
        return made
    after = parse_template(release.template_text)
    return made._replace(changes=tuple(explain(change, there.template, after) for change in made.changes))


def upload(s3: Any, release: Release, bucket: str) -> str:
    """Put zip, definition and template into the bucket, each under a name that tells its content; gives the template's URL."""
    from botocore.exceptions import ClientError

    template = release.template_text.encode()
    key = _key("template", template, "yml")
    bodies = {release.keys["CodeKey"]: release.zip, release.keys["DefinitionKey"]: release.definition, key: template}
    for name, body in bodies.items():
        try:
            s3.put_object(Bucket=bucket, Key=name, Body=body)
        except ClientError as error:
            raise Permanent(
                f"bucket {bucket}: S3 refused {name} ({error.response['Error']['Code']}): it must be there, in this region"
            ) from error
    return f"{s3.meta.endpoint_url}/{bucket}/{key}"


def _read_codec(batch: Batch) -> Codec:
    from dataops.core.connection import open_connection
    from dataops.core.describe import describe_table

    try:
        with open_connection(batch.source.secret) as connection:
            source = describe_table(connection, batch.source.table, batch.source.database)
    except DataOpsError as error:
        declared = ", ".join(f"{name}: S, N or B" for name in undeclared_keys(batch))
        raise BatchFileError(
            f"batch {batch.batch}: dynamodb.key_types: declare {{{declared}}}, or let the source be read from here ({error})"
        ) from error
    return Codec(batch, source, None, None)


def _key(name: str, content: bytes, ending: str) -> str:
    return f"{name}-{sha256(content).hexdigest()[:16]}.{ending}"
