"""Proof that the code imported in this process is the code in the zip, module by module."""

from __future__ import annotations

import sys
import zipfile
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from dataops.deploy.imported import executed_code
from dataops.errors import Permanent


class FileProof(NamedTuple):
    """One file of a zip: its size in bytes, its digest, and whether what is imported here is `same`, `differs`, is
    `unknown` (imported before `dataops` was) or `not imported`.

    A module of ours is held, compiled, against the code that its imports and reloads ran here; what was put into it
    afterwards by other means is not seen. Of a third party's the file is compared, as it is now.
    """

    file: str
    size: int
    sha256: str
    imported: str

    @property
    def is_ours(self) -> bool:
        """Whether it is the project's or a batch's own, not a third party's."""
        return self.file.split("/")[0] not in ("pymysql", "msgspec")


_FAULTS = {
    "differs": "what was imported here is not what the zip holds: restart the kernel, or run the command again",
    "unknown": "was imported before dataops, so what ran is not known: restart the kernel, and import dataops first",
}


def prove_code(content: bytes) -> list[FileProof]:
    """Each file of a zip held against what this process has imported, in order of name."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        return [_prove_file(name, archive.read(name)) for name in sorted(archive.namelist())]


def require_same_code(content: bytes) -> list[FileProof]:
    """The proof of a zip. Raises Permanent, which names the file, where imported code of ours is not in it."""
    proofs = prove_code(content)
    for proof in proofs:
        if proof.is_ours and proof.imported in _FAULTS:
            raise Permanent(f"{proof.file}: {_FAULTS[proof.imported]}")
    return proofs


def require_same_zip(given: bytes, built: bytes, where: str) -> None:
    """Raises Permanent, which names the first file, when a zip is not byte for byte what the checkout gives."""
    if given == built:
        return
    try:
        with zipfile.ZipFile(BytesIO(given)) as one, zipfile.ZipFile(BytesIO(built)) as other:
            names, wanted = one.namelist(), other.namelist()
            unequal = [
                name
                for name in sorted({*names, *wanted})
                if name not in names or name not in wanted or one.read(name) != other.read(name)
            ]
    except zipfile.BadZipFile:
        raise Permanent(f"{where}: expected a zip that `dataops package` wrote, found another file") from None
    what = (
        f"{unequal[0]} is"
        if len(unequal) == 1
        else f"{len(unequal)} files are, such as {unequal[0]},"
        if unequal
        else ""
    )
    raise Permanent(
        f"{where}: {what or 'its order or times are'} not as in this checkout; build it again with `dataops package`"
    )


def _prove_file(name: str, source: bytes) -> FileProof:
    proof = FileProof(name, len(source), sha256(source).hexdigest(), "not imported")
    module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    file = getattr(sys.modules.get(module), "__file__", None)
    ran = executed_code(module)
    if not name.endswith(".py") or not (file or ran):
        return proof
    if not proof.is_ours:
        return proof._replace(imported="same" if file and Path(file).read_bytes() == source else "differs")
    if not ran:
        return proof._replace(imported="unknown")
    written = compile(source, name, "exec", dont_inherit=True)
    return proof._replace(imported="same" if all(code == written for code in ran) else "differs")
