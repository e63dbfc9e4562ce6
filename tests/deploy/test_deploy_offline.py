"""What `dataops deploy --dry-run` tells where there is neither AWS nor a stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

DATAOPS = Path(sys.executable).with_name("dataops")


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """Runs the command where no credentials and no stack are found."""
    hidden = ("AWS_", "DATAOPS_")
    environment = {name: of for name, of in os.environ.items() if not name.startswith(hidden)}
    environment |= {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/gone",
        "AWS_SHARED_CREDENTIALS_FILE": "/gone",
    }
    with tempfile.TemporaryDirectory() as short:
        environment["TMPDIR"] = short

        def run(*arguments):
            command = [DATAOPS, "deploy", "--dry-run", *map(str, arguments)]
            return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

        yield run


def test_a_flow_that_is_left_out_is_in_the_json_and_the_exit_status(offline):
    done = offline("nightly", "--json")
    told = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, told["flows"]) == (3, [])
    (left_out,) = told["left_out"]
    assert left_out.startswith("flow nightly: batches: give steps instead")
    assert f"left out: {left_out}" in done.stderr


def test_a_template_without_its_flow_is_not_written(offline, tmp_path):
    done = offline("nightly", "-o", tmp_path / "template.yml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("dataops: flow nightly: batches: give steps instead")
    assert done.stderr.endswith(f"so {tmp_path}/template.yml is not written\n")
    assert not (tmp_path / "template.yml").exists()


def test_batches_alone_are_told_and_written_whole(offline, tmp_path):
    done = offline("customers", "-o", tmp_path / "template.yml", "--json")
    assert (done.returncode, json.loads(done.stdout.splitlines()[-1])["left_out"]) == (0, [])
    assert "CustomersSchedule:" in (tmp_path / "template.yml").read_text()
