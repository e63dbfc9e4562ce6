"""The deployment zip: the very modules that the notebooks import, two pinned packages, nothing else.

The same inputs give the same bytes: names are sorted, times and modes fixed, no compiled Python is in it.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path

from dataops.batch import Batch
from dataops.errors import BatchFileError, Permanent

PACKAGE = Path(__file__).parent.parent
VENDOR = Path(__file__).with_name("vendor.txt")
SHARED = ("__init__.py", "errors.py", "_wording.py", "batch.py", "flow.py", "core", "handlers")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
ARCHITECTURES = ("x86_64", "aarch64")
EPOCH = (1980, 1, 1, 0, 0, 0)


def build_zip(batches: Iterable[Batch] = (), wheels: Path | None = None) -> bytes:
    """The zip for these batches: their transforms' modules are in it as well.

    `wheels` is a folder that keeps the third-party wheels (default: the user's cache); what is not there is
    downloaded, and every file is checked against its pinned hash. Raises Permanent when that fails.
    """
    files = dict(_own_files())
    for batch in batches:
        if batch.function:
            files |= transform_files(batch.function)
    for wheel in fetch_wheels(wheels or cache_folder() / "wheels"):
        files |= _wheel_files(wheel)
    return _write_zip(tuple(sorted(files.items())))


def zip_name(content: bytes) -> str:
    """The file name of a zip: it tells the content."""
    return f"dataops-{sha256(content).hexdigest()[:16]}.zip"


def cache_folder() -> Path:
    """Where downloads are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dataops"


DIRECT = ("dataops-preflight",)
"""Functions that are invoked directly: they are no state of a machine."""
OF_FLOWS = ("dataops-claim-flow", "dataops-publish-flow", "dataops-close-flow", "dataops-roll-back-flow")
"""Functions that are a Task state of every flow's machine."""


def handlers() -> dict[str, str]:
    """Function name -> handler path, one for each file in handlers/."""
    names = sorted(path.stem for path in (PACKAGE / "handlers").glob("*.py") if path.stem not in ("__init__", "edge"))
    return {f"dataops-{name.replace('_', '-')}": f"dataops.handlers.{name}.handler" for name in names}


def state_handlers() -> dict[str, str]:
    """Function name -> handler path of those that are a Task state of the batch machine."""
    return {name: handler for name, handler in handlers().items() if name not in (*DIRECT, *OF_FLOWS)}


def transform_files(function: str) -> dict[str, bytes]:
    """The files of a transform's module and the packages around it, by their path in the zip."""
    module = function.partition(":")[0]
    spec = _find_spec(module)
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise BatchFileError(f"transform: module {module} is not importable from here")
    path = module.replace(".", "/")
    own = f"{path}/__init__.py" if spec.submodule_search_locations else f"{path}.py"
    files = {own: Path(spec.origin).read_bytes()}
    for depth in range(1, module.count(".") + 1):
        package = ".".join(module.split(".")[:depth])
        outer = _find_spec(package)
        if outer and outer.origin:
            files[f"{package.replace('.', '/')}/__init__.py"] = Path(outer.origin).read_bytes()
    return files


def fetch_wheels(folder: Path) -> list[Path]:
    """The pinned wheels, from `folder` or downloaded into it, each with the hash that vendor.txt demands."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {line.split("sha256:")[1].rstrip(" \\") for line in VENDOR.read_text().splitlines() if "sha256:" in line}
    found = _by_hash(folder)
    if not wanted <= found.keys():
        targets = [(python, machine) for python in PYTHONS for machine in ARCHITECTURES]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda target: _download(folder, *target), targets))
        found = _by_hash(folder)
    missing = wanted - found.keys()
    if missing:
        raise Permanent(
            f"package: {len(missing)} of {len(wanted)} pinned wheels could not be had; is the index reachable?"
        )
    return sorted(found[digest] for digest in wanted)


def _find_spec(module: str) -> importlib.machinery.ModuleSpec | None:
    try:
        return importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None


def _own_files() -> Iterator[tuple[str, bytes]]:
    for name in SHARED:
        path = PACKAGE / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.suffix in (".py", ".pem"):
                yield f"dataops/{file.relative_to(PACKAGE).as_posix()}", file.read_bytes()


def _wheel_files(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        names = (name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith((".pyi", "/")))
        return {name: archive.read(name) for name in names}


@lru_cache(2)
def _write_zip(files: tuple[tuple[str, bytes], ...]) -> bytes:
    """The zip of files that are sorted by name; each start of a run asks for it, mostly of the same files."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def _by_hash(folder: Path) -> dict[str, Path]:
    return {sha256(path.read_bytes()).hexdigest(): path for path in sorted(folder.glob("*.whl"))}


def _download(folder: Path, python: str, machine: str) -> None:
    """Let pip fetch the wheels of one Python and architecture; pip checks the hashes."""
    platforms = [f"--platform=manylinux{version}_{machine}" for version in ("2014", "_2_17", "_2_28")]
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--only-binary=:all:", "--require-hashes", "--requirement", str(VENDOR), "--dest", str(folder),
        f"--python-version={python}", "--implementation=cp", f"--abi=cp{python.replace('.', '')}", "--abi=none",
        *platforms, "--platform=any",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Permanent(f"package: pip could not fetch the wheels of Python {python} for {machine}: {last}")
