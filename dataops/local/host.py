"""The process that holds an embedded stack: it starts everything, waits for its end, and leaves nothing behind.

Run as `python -m dataops.local.host NAME FOLDER CONCURRENCY [FLAVOR]`; `dataops.local.stack` does that.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from dataops.errors import DataOpsError
from dataops.local.emulators import check_versions, serve_interpreter, start_aws
from dataops.local.mysqld import FLAVORS, Flavor, find_program
from dataops.local.patches import apply_patches
from dataops.local.registry import ACCOUNT, MACHINE
from dataops.local.sandbox import SandboxPool
from dataops.local.servers import MySQLServer
from dataops.local.spawn import Spawner, end_process
from dataops.local.stack import CONTROL_TABLE, REGION, STATE_FILE, StackInfo

TOPIC, BUCKET = "dataops-failures", "dataops-artifacts"
LOOPBACK = "127.0.0.1,localhost"


class Host:
    """Everything that an embedded stack consists of."""

    def __init__(self, name: str, folder: Path, concurrency: int, flavor: Flavor | None = None) -> None:
        self.name, self.folder, self.concurrency, self.flavor = name, folder, concurrency, flavor
        self.spawner = Spawner()
        self._stops: list[Callable[[], object]] = []

    def start(self) -> StackInfo:
        """Start servers, emulators and sandboxes, and put the secrets, table, topic and bucket. Raises DataOpsError."""
        check_versions()
        program = find_program(self.flavor)
        use_no_proxy()
        servers = [MySQLServer(program, self.folder / name, name, self.spawner) for name in ("source", "target")]
        with ThreadPoolExecutor(3) as starting:
            self._stops += [server.stop for server in servers]
            waiting = [starting.submit(server.create) for server in servers]
            aws = starting.submit(self._start_aws)
            stop, interpreter = serve_interpreter(self.folder)
            self._stops.append(stop)
        for each in waiting:
            each.result()
        variables = self._variables(aws.result(), interpreter)
        base = {name: value for name, value in variables.items() if name.startswith("AWS_")}
        pool = SandboxPool(self.folder / "lambda", base, self.spawner, self.concurrency)
        self._stops.append(pool.close)
        apply_patches(pool)
        source, target = (server.info for server in servers)
        info = StackInfo(self.name, str(self.folder), os.getpid(), source, target, variables)
        put_contents(info)
        return info

    def stop(self) -> None:
        """Stop everything and delete the folder."""
        with ThreadPoolExecutor(8) as stopping:
            for stop in self._stops:
                stopping.submit(stop)
        shutil.rmtree(self.folder, ignore_errors=True)

    def publish(self, info: StackInfo) -> None:
        """Write the state file: from now on the stack is found."""
        new = self.folder / f"{STATE_FILE}.new"
        new.touch(0o600)
        new.write_bytes(msgspec.json.encode(info))
        new.rename(self.folder / STATE_FILE)

    def _start_aws(self) -> str:
        process, endpoint = start_aws(self.folder, self.spawner)
        self._stops.append(lambda: end_process(process))
        return endpoint

    def _variables(self, endpoint: str, interpreter: str) -> dict[str, str]:
        proxies = {name: os.environ[name] for name in ("NO_PROXY", "no_proxy") if name in os.environ}
        return proxies | {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ENDPOINT_URL_SFN": interpreter,
            "AWS_ENDPOINT_URL_LAMBDA": interpreter,
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION,
            "DATAOPS_STACK": self.name,
            "DATAOPS_CONTROL_TABLE": CONTROL_TABLE,
            "DATAOPS_STATE_MACHINE_ARN": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{MACHINE}",
            "DATAOPS_TOPIC_ARN": f"arn:aws:sns:{REGION}:{ACCOUNT}:{TOPIC}",
        }  # fmt: skip


def use_no_proxy() -> None:
    """Where a proxy is set, keep it away from loopback."""
    if any(name.lower().endswith("_proxy") for name in os.environ):
        for name in ("NO_PROXY", "no_proxy"):
            os.environ[name] = ",".join(filter(None, [os.environ.get(name), LOOPBACK]))


def put_contents(info: StackInfo) -> None:
    """Put the secrets, the control table, the topic and the bucket on the emulated AWS."""
    import boto3

    os.environ.update(info.variables)
    secrets = boto3.client("secretsmanager")
    for server in (info.source, info.target):
        fields = {
            "engine": "mysql", "host": server.host, "port": server.port, "username": server.user,
            "password": server.password, "dbname": server.database, "tls": "off",
        }  # fmt: skip
        secrets.create_secret(Name=f"dataops/{server.database}", SecretString=msgspec.json.encode(fields).decode())
    boto3.client("dynamodb").create_table(
        TableName=CONTROL_TABLE, BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )  # fmt: skip
    boto3.client("sns").create_topic(Name=TOPIC)
    location: Any = {"LocationConstraint": REGION}
    boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)


def main() -> int:
    """Hold a stack until a signal; exit status 1 when it could not start (the reason is in `FOLDER.failure`)."""
    name, folder, concurrency = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    flavor = next((each for each in FLAVORS if each in sys.argv[4:]), None)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    host = Host(name, folder, concurrency, flavor)
    try:
        info = host.start()
        if not ended.is_set():
            host.publish(info)
    except Exception as error:
        with suppress(OSError):
            folder.with_name(f"{folder.name}.failure").write_text(_reason(error))
        host.stop()
        return 1
    ended.wait()
    host.stop()
    return 0


def _reason(error: Exception) -> str:
    known = isinstance(error, DataOpsError | subprocess.SubprocessError)
    return str(error) if known else traceback.format_exc()


if __name__ == "__main__":
    raise SystemExit(main())
