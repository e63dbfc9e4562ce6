"""JupyterLab on the workbook: loopback, a token, the notebooks' folder, no news and no kernel warnings."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dataops.local.spawn import free_port

NOTEBOOKS = Path(__file__).parent.parent.parent / "notebooks"
SETTINGS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


def serve_lab(environment: Mapping[str, str], *, port: int = 0, browser: bool = True) -> int:
    """Run JupyterLab until it ends or is interrupted; gives its exit status."""
    port = port or free_port()
    token = secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory(prefix="dataops-lab-") as folder:
        settings = Path(folder) / "settings"
        settings.mkdir()
        (settings / "overrides.json").write_text(json.dumps(SETTINGS))
        command = lab_command(settings, port, token, browser)
        print(f"JupyterLab: http://127.0.0.1:{port}/lab?token={token}  (Ctrl-C ends it)", flush=True)
        process = subprocess.Popen(command, env=dict(environment), cwd=NOTEBOOKS)
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                process.terminate()


def lab_command(settings: Path, port: int, token: str, browser: bool) -> list[str]:
    """The command line of JupyterLab; `settings` is a folder with overrides.json."""
    return [
        sys.executable, "-m", "jupyterlab", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}", "--ServerApp.allow_root=True", f"--ServerApp.root_dir={NOTEBOOKS}",
        f"--LabApp.app_settings_dir={settings}", "--KernelManager.transport_encryption=auto",
        f"--ServerApp.open_browser={browser}", "--LabApp.news_url=",
    ]  # fmt: skip
