"""Sealed objects: pictures, and the parts of uploads under way.

They lie in a folder, or in any S3-compatible store where a bucket is set. A name says
the day and nothing more; the bytes are sealed before they leave the process.
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

_SEALED_AS = "pictures.object"
_BEGINNING = 64


class ObjectsUnavailable(Exception):
    """The store does not answer, or refuses: nothing can be kept or read now."""


class Store(Protocol):
    """Where sealed bytes lie, by name. Its methods block."""

    def put(self, name: str, sealed: bytes) -> None:
        """Returns once the object is durable."""

    def get(self, name: str) -> bytes: ...

    def read_prefix(self, name: str) -> bytes:
        """Its first bytes: enough to tell the key that sealed it."""

    def remove(self, name: str) -> None:
        """A name that is gone already is no error."""

    def list_day(self, day: str, before: Instant) -> Iterator[str]: ...


class Objects:
    """`owner` is the person whose object it is; it opens as nobody else's."""

    def __init__(self, settings: Settings, vault: Vault) -> None:
        self._settings = settings
        self._vault = vault

    async def put(self, data: bytes, owner: int, now: Instant) -> str:
        """Returns the object's name: its day, and 32 random digits."""
        name = f"{china_date(now):%Y%m%d}/{secrets.token_hex(16)}"
        await _in_thread(lambda: self._store.put(name, self._vault.seal(data, _SEALED_AS, owner)))
        return name

    async def get(self, name: str, owner: int) -> bytes:
        return await _in_thread(
            lambda: self._vault.open_bytes(self._store.get(name), _SEALED_AS, owner)
        )

    async def reencrypt(self, name: str, owner: int) -> bool:
        """Seals an object anew under the current key; False where it is so already, or gone."""

        def work() -> bool:
            try:
                if self._vault.is_current_key(self._store.read_prefix(name)):
                    return False
                data = self._vault.open_bytes(self._store.get(name), _SEALED_AS, owner)
            except FileNotFoundError:
                return False
            self._store.put(name, self._vault.seal(data, _SEALED_AS, owner))
            return True

        return await _in_thread(work)

    async def remove(self, *names: str) -> None:
        def remove_all() -> None:
            for name in names:
                self._store.remove(name)

        await _in_thread(remove_all)

    async def list_day(self, day: date, before: Instant) -> list[str]:
        """Names of a day's objects that were written before the moment."""
        return await _in_thread(lambda: list(self._store.list_day(f"{day:%Y%m%d}", before)))

    @cached_property
    def _store(self) -> Store:
        return (
            Bucket(self._settings) if self._settings.objects_s3_bucket else Folder(self._settings)
        )


class Folder:
    def __init__(self, settings: Settings) -> None:
        self._folder = settings.objects_dir

    def put(self, name: str, sealed: bytes) -> None:
        file_name = self._folder / name
        file_name.parent.mkdir(parents=True, exist_ok=True)
        part = file_name.with_suffix(".part")
        with part.open("wb") as file:
            file.write(sealed)
            file.flush()
            os.fsync(file.fileno())
        part.rename(file_name)
        _sync(file_name.parent)

    def get(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()

    def read_prefix(self, name: str) -> bytes:
        with (self._folder / name).open("rb") as file:
            return file.read(_BEGINNING)

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
    """Any store that speaks the S3 protocol."""

    def __init__(self, settings: Settings) -> None:
        self._bucket = _open_bucket(settings)

    def put(self, name: str, sealed: bytes) -> None:
        with _translated():
            self._bucket.put(name, sealed)

    def get(self, name: str) -> bytes:
        with _translated():
            return bytes(self._bucket.get(name).bytes())

    def read_prefix(self, name: str) -> bytes:
        with _translated():
            return bytes(self._bucket.get_range(name, start=0, length=_BEGINNING))

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
    """Imported with the first object: the library costs 5 MB that others need not hold."""
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
    """In a thread; the S3 library's own coroutines can abort a process that is ending."""
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
