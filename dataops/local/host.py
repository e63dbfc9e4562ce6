"""The process that holds an embedded stack: it starts everything, waits for its end, and leaves nothing behind.

Run as `python -m dataops.local.host NAME FOLDER CONCURRENCY`; `dataops.local.stack` does that.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from dataops.errors import DataOpsError
from dataops.local.interpreter import serve_interpreter
from dataops.local.mysqld import find_program
from dataops.local.registry import ACCOUNT, MACHINE
from dataops.local.sandbox import SandboxPool
from dataops.local.servers import MySQLServer
from dataops.local.spawn import Spawner, end_process, free_port, own_environment, wait_until
from dataops.local.stack import CONTROL_TABLE, REGION, STATE_FILE, StackInfo

TOPIC, BUCKET = "dataops-failures", "dataops-artifacts"


class Host:
    """Everything that an embedded stack consists of."""

    def __init__(self, name: str, folder: Path, concurrency: int) -> None:
        self.name, self.folder, self.concurrency = name, folder, concurrency
        self.spawner = Spawner()
        self._stops: list[Any] = []

    def start(self) -> StackInfo:
        """Start servers, emulators and sandboxes; write the state file. Raises DataOpsError."""
        program = find_program()
        servers = [MySQLServer(program, self.folder / name, name, self.spawner) for name in ("source", "target")]
        with ThreadPoolExecutor(3) as starting:
            made = [starting.submit(server.create) for server in servers]
            aws = starting.submit(self._start_aws)
            self._stops += [server.stop for server in servers]
            for each in made:
                each.result()
            endpoint = aws.result()
        pool = SandboxPool(self.folder / "lambda", self._variables(endpoint, None), self.spawner, self.concurrency)
        self._stops.append(pool.close)
        server, port = serve_interpreter(pool)
        self._stops.append(server.stop)
        variables = self._variables(endpoint, port)
        pool._base = {name: value for name, value in variables.items() if name.startswith("AWS_")}
        source, target = (server.info for server in servers)
        info = StackInfo(self.name, str(self.folder), os.getpid(), source, target, variables)
        self._seed(info)
        return info

    def stop(self) -> None:
        """Stop everything and delete the folder."""
        for stop in reversed(self._stops):
            stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _variables(self, endpoint: str, port: int | None) -> dict[str, str]:
        interpreter = f"http://127.0.0.1:{port}"
        return {
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

    def _start_aws(self) -> str:
        """Start the AWS emulator in a process of its own; gives its endpoint."""
        port, log = free_port(), self.folder / "aws.log"
        environment = own_environment(
            BIND_HOST="127.0.0.1", GATEWAY_PORT=str(port), MINISTACK_ACCOUNT_ID=ACCOUNT, MINISTACK_REGION=REGION,
            IOT_MTLS_ENABLED="0", SFTP_ENABLED="0", AWS_DEFAULT_REGION=REGION, TMPDIR=str(self.folder),
        )  # fmt: skip
        process = self.spawner.spawn([sys.executable, "-m", "ministack"], log=log, environment=environment)
        self._stops.append(lambda: end_process(process))
        wait_until(lambda: _listens(port), process, "AWS emulator", log, 60)
        return f"http://127.0.0.1:{port}"

    def _seed(self, info: StackInfo) -> None:
        """The secrets, the control table, the topic and the bucket."""
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


def _listens(port: int) -> bool:
    import urllib.error
    import urllib.request

    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def main() -> int:
    """Hold a stack until a signal; exit status 1 when it could not start (the reason is in `failure`)."""
    name, folder, concurrency = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    host = Host(name, folder, concurrency)
    try:
        info = host.start()
    except Exception as error:
        ours = isinstance(error, DataOpsError | subprocess.SubprocessError)
        (folder.parent / f"{folder.name}.failure").write_text(str(error) if ours else traceback.format_exc())
        host.stop()
        return 1
    new = folder / f"{STATE_FILE}.new"
    new.touch(0o600)
    new.write_bytes(msgspec.json.encode(info))
    new.rename(folder / STATE_FILE)
    ended.wait()
    host.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
