"""A database connection's secret: what Secrets Manager holds, as a value, or a located error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from dataops.core.aws import aws_client, kept
from dataops.errors import Retryable, SecretError

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Secret(msgspec.Struct, frozen=True):
    """Where a MySQL server is and how to log in. Never printed: `repr` shows its name and host only."""

    name: str
    host: str
    username: str
    password: str = ""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 3306
    dbname: str | None = None
    auth: Literal["password", "iam"] = "password"
    tls: Literal["on", "off"] = "on"
    ca: str | None = None

    def __repr__(self) -> str:
        return f"Secret({self.name!r}, host={self.host!r}, port={self.port})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("name", self.name), ("host", self.host), ("port", self.port)]


def fetch_secret(name: str, client: SecretsManagerClient | None = None) -> Secret:
    """The secret called `name` (or its ARN). Raises SecretError when it is missing, refused or malformed."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client = client or kept(_secrets_manager)
        reply = client.get_secret_value(SecretId=name, VersionStage="AWSCURRENT")
    except ClientError as error:
        raise _refused(name, error) from error
    except BotoCoreError as error:
        raise Retryable(f"secret {name}: Secrets Manager did not answer ({type(error).__name__})") from error
    return parse_secret(name, reply["SecretString"] if "SecretString" in reply else reply["SecretBinary"])


def _secrets_manager() -> SecretsManagerClient:
    client: SecretsManagerClient = aws_client("secretsmanager")
    return client


def parse_secret(name: str, text: str | bytes) -> Secret:
    """The secret in a JSON text of the form that RDS writes: host, port, username, password, dbname.

    `auth: "iam"` takes no password and always TLS; `tls: "off"` is for a loopback host only; `ca` may hold a CA bundle
    (PEM).
    """
    try:
        fields: dict[str, Any] = msgspec.json.decode(text)
        wanted = ("host", "username") if fields.get("auth") == "iam" else ("host", "username", "password")
        missing = [field for field in wanted if not fields.get(field)]
    except (msgspec.DecodeError, ValueError, AttributeError, RecursionError):
        raise SecretError(
            f"secret {name}: expected a JSON object with host, port, username, password, dbname"
        ) from None
    if missing:
        are = f"field {missing[0]} is" if len(missing) == 1 else f"fields {', '.join(missing)} are"
        raise SecretError(f"secret {name}: {are} missing; it takes host, port, username, password, dbname")
    known = {field: fields[field] for field in Secret.__struct_fields__ if field in fields and field != "name"}
    try:
        secret = msgspec.convert({**known, "name": name}, Secret, strict=False)
    except msgspec.ValidationError as error:
        raise SecretError(
            f"secret {name}: field {str(error).rpartition('$.')[2].strip('`')} has the wrong type or value"
        ) from None
    if secret.tls == "off" and secret.auth == "iam":
        raise SecretError(f'secret {name}: auth "iam" is for TLS only')
    if secret.tls == "off" and secret.host not in LOOPBACK:
        raise SecretError(f'secret {name}: tls "off" is for a loopback host only')
    return secret


def _refused(name: str, error: Any) -> SecretError | Retryable:
    code = error.response["Error"]["Code"]
    if code == "ResourceNotFoundException":
        return SecretError(f"secret {name}: is not in Secrets Manager here; create it, or correct the batch's secret")
    if code in ("ThrottlingException", "InternalServiceError", "InternalServiceErrorException"):
        return Retryable(f"secret {name}: Secrets Manager answered {code}")
    return SecretError(f"secret {name}: Secrets Manager refused it ({code})")
