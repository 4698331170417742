"""Object storage, in a directory and on an S3-compatible server."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from core.crypto import CannotOpen, Vault
from core.kernel.clock import instant
from core.kernel.settings import Secret, Settings, key_ring
from core.storage import Objects, ObjectsUnavailable
from tests.conftest import settings_for
from tests.live import free_port

A_PICTURE = bytes(range(256)) * 400
NOW = instant(datetime(2026, 11, 24, 20, 0, tzinfo=UTC))
_MAY_DO_ALL = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}
_UNCHECKED_CALLS = 3


@dataclass(frozen=True, slots=True)
class S3Server:
    address: str
    key_id: str
    key: Secret

    def settings(self, **given: object) -> dict[str, object]:
        return {
            "objects_s3_bucket": "cards",
            "objects_s3_endpoint": self.address,
            "objects_s3_access_key_id": self.key_id,
            "objects_s3_secret_access_key": self.key,
        } | given

    def kept(self) -> list[bytes]:
        """The objects in the bucket."""
        bucket = _client("s3", self.address, self.key_id, self.key)
        found = bucket.list_objects_v2(Bucket="cards").get("Contents", [])
        names = [entry["Key"] for entry in found]
        return [bucket.get_object(Bucket="cards", Key=name)["Body"].read() for name in names]


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    """moto's server, which verifies request signatures once a user has been created."""
    port = free_port()
    command = Path(sys.executable).with_name("moto_server")
    with subprocess.Popen(  # noqa: S603 - of our own environment
        [command, "-H", "127.0.0.1", "-p", str(port)],
        env=os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": str(_UNCHECKED_CALLS)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(address)
            yield _with_a_user(address)
        finally:
            process.terminate()


def _with_a_user(address: str) -> S3Server:
    iam = _client("iam", address, "none", Secret("none"))
    iam.create_user(UserName="gateway")
    made = iam.create_access_key(UserName="gateway")["AccessKey"]
    iam.put_user_policy(
        UserName="gateway", PolicyName="all", PolicyDocument=json.dumps(_MAY_DO_ALL)
    )
    server = S3Server(address, made["AccessKeyId"], Secret(made["SecretAccessKey"]))
    _client("s3", address, server.key_id, server.key).create_bucket(Bucket="cards")
    return server


def _client(service: str, address: str, key_id: str, key: Secret) -> Any:
    return boto3.client(
        service,
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=key.reveal(),
    )


def _wait_for(address: str) -> None:
    for _ in range(400):
        try:
            httpx.get(f"{address}/moto-api/", trust_env=False)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the S3 server did not start")


@pytest.fixture(params=["folder", "bucket"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    server: S3Server | None = None
    if request.param == "bucket":
        server = request.getfixturevalue("s3")
    given = server.settings() if server else {}
    return settings_for(f"sqlite:///{tmp_path}/unused", tmp_path, **given)


@pytest.fixture
def objects(settings: Settings) -> Objects:
    return Objects(settings, _vault(settings))


def _vault(settings: Settings) -> Vault:
    return Vault(
        settings.cipher_suite,
        key_ring(settings.column_keys, "column_keys"),
        key_ring(settings.index_keys, "index_keys"),
    )


async def test_returns_a_stored_object(objects: Objects) -> None:
    first, second = await objects.put(A_PICTURE, 1, NOW), await objects.put(b"", 1, NOW)

    assert first != second
    assert await objects.get(first, 1) == A_PICTURE
    assert await objects.get(second, 1) == b""


async def test_does_not_open_for_another_person(objects: Objects) -> None:
    name = await objects.put(A_PICTURE, 1, NOW)

    with pytest.raises(CannotOpen):
        await objects.get(name, 2)


async def test_removes_objects_also_if_they_are_missing(objects: Objects) -> None:
    name = await objects.put(A_PICTURE, 1, NOW)

    await objects.remove(name, "0" * 32)

    with pytest.raises(FileNotFoundError):
        await objects.get(name, 1)


async def test_lists_what_is_older_than_a_moment_day_by_day(objects: Objects) -> None:
    name, written = await objects.put(A_PICTURE, 1, NOW), time.time_ns() // 1_000_000

    assert name.startswith("20261125/")
    assert name in await objects.list_day(date(2026, 11, 25), written + 60_000)
    assert await objects.list_day(date(2026, 11, 25), written - 60_000) == []
    assert await objects.list_day(date(2026, 11, 24), written + 60_000) == []


async def test_nothing_is_stored_in_plain_text(
    objects: Objects, settings: Settings, request: pytest.FixtureRequest
) -> None:
    await objects.put(b"marked bytes of a face", 1, NOW)

    if settings.objects_s3_bucket:
        kept = request.getfixturevalue("s3").kept()
    else:
        kept = [file.read_bytes() for file in settings.objects_dir.glob("*/*")]
    assert kept
    assert not any(b"marked bytes" in data for data in kept)


async def test_reports_a_store_that_refuses_or_is_down(s3: S3Server, tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    wrong_key = s3.settings(objects_s3_secret_access_key=Secret("wrong"))
    gone = s3.settings(objects_s3_endpoint=f"http://127.0.0.1:{free_port()}")
    no_folder: dict[str, Any] = {"objects_dir": tmp_path / "a file" / "objects"}

    for given in (wrong_key, gone, no_folder):
        settings = replace(settings_for(f"sqlite:///{tmp_path}/unused", tmp_path), **given)
        with pytest.raises(ObjectsUnavailable):
            await Objects(settings, _vault(settings)).put(A_PICTURE, 1, NOW)
