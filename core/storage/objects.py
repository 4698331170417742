"""Encrypted object storage: pictures, and parts of unfinished uploads.

Objects are stored in a directory or, if a bucket is configured, in an S3-compatible store. A name
reveals only the day; the content is encrypted before it leaves the process.
"""

import asyncio
import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from core.crypto import Vault
from core.kernel.clock import Instant, china_date, instant
from core.kernel.settings import Settings

if TYPE_CHECKING:
    from obstore.store import S3Store

T = TypeVar("T")

_COLUMN = "pictures.object"
_PREFIX_BYTES = 64


class ObjectsUnavailable(Exception):
    """The store does not respond or returns an error."""


class Store(Protocol):
    """A blocking store of encrypted bytes by name."""

    def put(self, name: str, data: bytes) -> None:
        """Returns once the object is durable."""

    def get(self, name: str) -> bytes: ...

    def read_prefix(self, name: str) -> bytes:
        """The first bytes, which include the key id."""

    def remove(self, name: str) -> None:
        """Removing a missing object is not an error."""

    def list_day(self, day: str, before: Instant) -> Iterator[str]: ...


class Objects:
    """`owner` is the citizen's id; an object decrypts only with the same owner."""

    def __init__(self, settings: Settings, vault: Vault) -> None:
        self._settings = settings
        self._vault = vault

    async def put(self, data: bytes, owner: int, now: Instant) -> str:
        """Returns the object's name: the day, and 32 random hexadecimal digits."""
        name = f"{china_date(now):%Y%m%d}/{secrets.token_hex(16)}"
        await _in_thread(lambda: self._store.put(name, self._vault.seal(data, _COLUMN, owner)))
        return name

    async def get(self, name: str, owner: int) -> bytes:
        return await _in_thread(
            lambda: self._vault.open_bytes(self._store.get(name), _COLUMN, owner)
        )

    async def reencrypt(self, name: str, owner: int) -> bool:
        """Re-encrypts an object under the current key. False if it is already, or was removed."""

        def work() -> bool:
            try:
                if self._vault.is_current_key(self._store.read_prefix(name)):
                    return False
                data = self._vault.open_bytes(self._store.get(name), _COLUMN, owner)
            except FileNotFoundError:
                return False
            self._store.put(name, self._vault.seal(data, _COLUMN, owner))
            return True

        return await _in_thread(work)

    async def remove(self, *names: str) -> None:
        def remove_all() -> None:
            for name in names:
                self._store.remove(name)

        await _in_thread(remove_all)

    async def list_day(self, day: date, before: Instant) -> list[str]:
        """Names of a day's objects that were written before `before`."""
        return await _in_thread(lambda: list(self._store.list_day(f"{day:%Y%m%d}", before)))

    @cached_property
    def _store(self) -> Store:
        return (
            Bucket(self._settings) if self._settings.objects_s3_bucket else Folder(self._settings)
        )


class Folder:
    def __init__(self, settings: Settings) -> None:
        self._folder = settings.objects_dir

    def put(self, name: str, data: bytes) -> None:
        file_name = self._folder / name
        file_name.parent.mkdir(parents=True, exist_ok=True)
        part = file_name.with_suffix(".part")
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.rename(file_name)
        _sync(file_name.parent)

    def get(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()

    def read_prefix(self, name: str) -> bytes:
        with (self._folder / name).open("rb") as file:
            return file.read(_PREFIX_BYTES)

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    def list_day(self, day: str, before: Instant) -> Iterator[str]:
        folder = self._folder / day
        if not folder.is_dir():
            return
        for file in folder.iterdir():
            if file.stat().st_mtime * 1000 < before:
                yield f"{day}/{file.name}"


class Bucket:
    """An S3-compatible store."""

    def __init__(self, settings: Settings) -> None:
        self._bucket = _open_bucket(settings)

    def put(self, name: str, data: bytes) -> None:
        with _translated():
            self._bucket.put(name, data)

    def get(self, name: str) -> bytes:
        with _translated():
            return bytes(self._bucket.get(name).bytes())

    def read_prefix(self, name: str) -> bytes:
        with _translated():
            return bytes(self._bucket.get_range(name, start=0, length=_PREFIX_BYTES))

    def remove(self, name: str) -> None:
        with _translated(), contextlib.suppress(FileNotFoundError):
            self._bucket.delete(name)

    def list_day(self, day: str, before: Instant) -> Iterator[str]:
        with _translated():
            for page in self._bucket.list(f"{day}/"):
                for found in page:
                    if instant(found["last_modified"]) < before:
                        yield found["path"]


def _open_bucket(settings: Settings) -> "S3Store":
    """The library is imported on first use, because it takes 5 MB of memory."""
    from datetime import timedelta

    from obstore.store import S3Store

    endpoint = settings.objects_s3_endpoint
    return S3Store(
        settings.objects_s3_bucket,
        endpoint=endpoint,
        region=settings.objects_s3_region,
        access_key_id=settings.objects_s3_access_key_id,
        secret_access_key=settings.objects_s3_secret_access_key.reveal(),
        virtual_hosted_style_request=False,
        client_options={
            "allow_http": endpoint.startswith("http:"),
            "connect_timeout": timedelta(seconds=2),
            "timeout": timedelta(seconds=10),
        },
        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=10)},
    )


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except BaseError as error:
        raise ObjectsUnavailable(type(error).__name__) from error


async def _in_thread(work: Callable[[], T]) -> T:
    """Runs in a thread: the S3 library's own coroutines can abort a process during shutdown."""
    try:
        return await asyncio.to_thread(work)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ObjectsUnavailable(type(error).__name__) from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
