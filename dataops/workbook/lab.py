"""JupyterLab on the workbook: loopback, a token, the notebooks' folder, no news and no kernel warnings."""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from dataops.local.spawn import free_port

NOTEBOOKS = Path(__file__).parent.parent.parent / "notebooks"
PATIENCE = 10
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False, "confirmClosingDocument": True},
    "@jupyterlab/filebrowser-extension:browser": {"showLastModifiedColumn": False, "singleClickNavigation": True},
}
"""No news; whole names in the list of files, which one click opens; a look leaves notebooks as they are: Ctrl-S saves."""


def serve_lab(environment: Mapping[str, str], *, port: int = 0, browser: bool = True, folder: Path = NOTEBOOKS) -> int:
    """Run JupyterLab on a folder until it ends or is stopped (Ctrl-C, SIGTERM); gives its exit status, 0 if stopped.

    The token goes to the server in its environment: a command line can be read by everybody on the machine.
    """
    port = port or free_port()
    token = secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory(prefix="dataops-lab-") as private:
        settings = Path(private) / "settings"
        settings.mkdir()
        (settings / "overrides.json").write_text(json.dumps(SETTINGS))
        command = lab_command(folder, settings, port, browser)
        print(f"JupyterLab: http://127.0.0.1:{port}/lab?token={token}  (Ctrl-C ends it)", flush=True)
        return _hold(subprocess.Popen(command, env={**environment, "JUPYTER_TOKEN": token}, cwd=folder))


def _hold(process: subprocess.Popen[bytes]) -> int:
    """Wait for a server and never leave it behind."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        signal.signal(signal.SIGTERM, before)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def lab_command(folder: Path, settings: Path, port: int, browser: bool) -> list[str]:
    """The command line of JupyterLab; `settings` is a folder with overrides.json."""
    return [
        sys.executable, "-m", "jupyterlab", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
        "--ServerApp.allow_root=True", f"--ServerApp.root_dir={folder}",
        f"--LabApp.app_settings_dir={settings}", "--KernelManager.transport_encryption=auto",
        f"--ServerApp.open_browser={browser}", "--LabApp.news_url=",
        "--ServerApp.tornado_settings={'ws_ping_interval': 0}",  # loopback needs none, and tornado warns of Jupyter's own
    ]  # fmt: skip
