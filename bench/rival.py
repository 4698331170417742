"""Baselines C and D of `bench.compare`: reportLoss and cancelLoss by hand, on the drivers themselves.

    python -m bench.rival [statements]

It does the gateway's work for them: judges the code and counts the attempts, checks phone, card and
state, and writes state, used-up code, audit entry with its MAC, head and notice in one durable
commit. C is as fast as we could: on PostgreSQL with asyncpg in two messages, prepared, over
connections that are kept; on SQLite in one thread, which reads, decides and writes for all who wait
in one transaction. D, with `statements`, on PostgreSQL alone, is as it is usually written: a
transaction that locks the person's row, reads, and then writes statement by statement. There is no
GraphQL, no schema, no idempotency, no other service.
"""

import asyncio
import contextlib
import queue
import re
import secrets
import sqlite3
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import asyncpg
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.audit import DONE, Action
from core.cards import NUMBER, CardState
from core.citizens import PHONE, Notice, sessions
from core.crypto import Keys, open_account
from core.db import sqlite_path
from core.kernel.clock import CLOCK_SKEW, DAY
from core.kernel.ids import first_id_at, new_id
from core.kernel.settings import Settings
from core.messaging.notices import text_of
from core.messaging.outbox import LIFETIME
from core.messaging.verification import MAX_TRIES, TRIES_WINDOW
from gateway.app import keys_from
from sandbox.settings import sandbox_settings

_READ = """
    SELECT s.id AS session_id, s.subject_id, s.channel, c.phone, c.phone_index, h.number AS head_number,
        h.mac AS head_mac, h.version, k.id AS card_id, k.number, k.number_index, k.state, k.state_since, k.state_before,
        a.kind AS application, v.id AS code_id, v.mac AS code_mac, v.expires_at, v.tries, v.consumed_at,
        n.channel AS by_channel,
        (SELECT sum(w.tries - CASE WHEN w.consumed_at IS NULL THEN 0 ELSE 1 END)
            FROM verification_codes w WHERE w.subject_id = $1 AND w.expires_at > $10
                AND (w.purpose = 'REPORT_LOSS') = ($6 = 'REPORT_LOSS')) AS wrong_tries,
        (SELECT {arrays} FROM bindings b WHERE b.subject_id = $1 AND b.ended_at IS NULL) AS bound
    FROM sessions s
        JOIN citizens c ON c.subject_id = s.subject_id
        JOIN audit_heads h ON h.subject_id = s.subject_id
        JOIN cards k ON k.subject_id = s.subject_id AND k.state <> '9'
        LEFT JOIN applications a ON a.subject_id = s.subject_id AND a.closed_at IS NULL
        LEFT JOIN notification_settings n ON n.subject_id = s.subject_id AND n.notice = $8
        LEFT JOIN verification_codes v ON v.subject_id = s.subject_id AND v.id = (
            SELECT max(w.id) FROM verification_codes w WHERE w.subject_id = $1 AND w.session_id = $2
                AND w.purpose = $6 AND w.phone_index = $7 AND w.id < $9)
    WHERE s.subject_id = $1 AND s.id = $2 AND s.token_hash = $3 AND s.ended_at IS NULL
        AND s.expires_at > $4 AND s.created_at <= $5
    ORDER BY k.id DESC
"""
_MOVE = "UPDATE audit_heads SET number = $2, mac = $3, version = version + 1 WHERE subject_id = $1 AND version = $4"
_ENTER = """
    INSERT INTO audit_entries (subject_id, number, at, action, result, channel, session_id, details, mac)
    VALUES ($1, $2, $5, $6, $7, $8, $9, $10, $3)
"""
_TRY = """
    UPDATE verification_codes SET tries = tries + 1, consumed_at = $13
    WHERE subject_id = $1 AND id = $11 AND tries = $12 AND consumed_at IS NULL
"""
_SET_STATE = """
    UPDATE cards SET state = $15, state_since = $5, state_before = $16, snapshot_state = NULL,
        snapshot_state_since = NULL, snapshot_state_before = NULL, snapshot_since = $5
    WHERE subject_id = $1 AND id = $14
"""
_COLUMNS = "subject_id, id, kind, idempotency_key, payload, created_at, due_at, expires_at, attempts, claimed_until"
_PUT = f"INSERT INTO outbox ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $6, $7, 0, 0)"  # noqa: S608
_KEEP = "INSERT INTO notices (subject_id, id, notice, at) VALUES ($1, $2, $3, $4)"
_PUT_ALL = f"""
    INSERT INTO outbox ({_COLUMNS}) SELECT $1, m.id, m.kind, m.key, m.payload, $5, $5, $17, 0, 0
    FROM unnest($18::bigint[], $19::text[], $20::text[], $21::bytea[]) AS m (id, kind, key, payload)
"""  # noqa: S608
_GUARDED = "SELECT 1 / (SELECT count(*) FROM moved), 1 / (SELECT count(*) FROM tried)"
_JUDGED = f"""
    WITH moved AS ({_MOVE} RETURNING 1), entered AS ({_ENTER}), tried AS ({_TRY} RETURNING 1) {_GUARDED}
"""
_CHANGED = f"""
    WITH moved AS ({_MOVE} RETURNING 1), entered AS ({_ENTER}), tried AS ({_TRY} RETURNING 1),
        changed AS ({_SET_STATE}), put AS ({_PUT_ALL}),
        kept AS (INSERT INTO notices (subject_id, id, notice, at) VALUES ($1, $22, $23, $5))
    {_GUARDED}
"""  # noqa: S608
_CONNECTIONS = 16
_ATTEMPTS = 12
_AT_ONCE = 256
_PHONE = re.compile(r"1[3-9][0-9]{9}")
_CODE = re.compile(r"[0-9]{6}")
_CARD_NUMBER = re.compile(r"[0-9A-Z]{9}")
_TEMPORARY_LOSS_LASTS = 7 * DAY


class _Service(NamedTuple):
    field: str
    action: Action
    notice: Notice
    allowed: frozenset[str]


_SERVICES = {
    False: _Service("reportLoss", Action.REPORT_LOSS, Notice.LOSS_REPORTED, frozenset("0134")),
    True: _Service("cancelLoss", Action.CANCEL_LOSS, Notice.LOSS_CANCELLED, frozenset("24")),
}


class _Refused(Exception):
    """With the refusal's code."""


@dataclass(frozen=True, slots=True)
class _Asked:
    service: _Service
    phone: str
    code: str
    card_number: str | None
    read: list[Any]
    now: int


@dataclass(frozen=True, slots=True)
class _Decided:
    """Either `refusal`, an attempt that is counted, or a change with its messages."""

    entry: list[Any]
    attempt: list[Any]
    card: list[Any]
    messages: list[tuple[int, str, str, bytes]]
    answer: bytes


class Rules:
    def __init__(self, keys: Keys, settings: Settings) -> None:
        self._vault, self._seals = keys
        self._settings = settings

    def ask(self, token: str, given: Mapping[str, str]) -> _Asked:
        now, card_number = time.time_ns() // 1_000_000, given.get("cardNumber")
        service, phone, code = _SERVICES[card_number is not None], given["phone"], given["code"]
        if not _PHONE.fullmatch(phone) or not _CODE.fullmatch(code):
            raise _Refused("INVALID_FORMAT")
        if card_number is not None and not _CARD_NUMBER.fullmatch(card_number):
            raise _Refused("INVALID_FORMAT")
        of_token = sessions.by_token(self._vault, token, now)
        if of_token is None:
            raise _Refused("UNAUTHENTICATED")
        read = [
            of_token["session_subject"],
            of_token["session_id"],
            of_token["token_hash"],
            now,
            now + CLOCK_SKEW,
            service.action.value,
            self._vault.index(phone, PHONE),
            service.notice.value,
            first_id_at(now + CLOCK_SKEW),
            now - TRIES_WINDOW,
        ]
        return _Asked(service, phone, code, card_number, read, now)

    def decide(self, asked: _Asked, rows: list[Any]) -> _Decided:
        if not rows:
            raise _Refused("UNAUTHENTICATED")
        service, (row, state, before) = asked.service, self._card(asked, rows)
        subject, card_id = row["subject_id"], row["card_id"]
        if row["phone_index"] != asked.read[6]:
            raise _Refused("PHONE_NOT_BOUND")
        if asked.card_number is not None:
            if row["application"] == "REISSUE":
                raise _Refused("REISSUE_OPEN")
            if row["number_index"] != self._vault.index(asked.card_number, NUMBER):
                raise _Refused("CARD_NUMBER_MISMATCH")
        self._check_usable(asked, row)
        consumed_at: int | None = asked.now
        result, details = DONE, f'{{"card":{card_id}}}'
        if not self._seals.matches_code(row["code_mac"], row["code_id"], asked.phone, asked.code):
            last = row["tries"] + 1 >= MAX_TRIES
            result, details, consumed_at = "CODE_VOID" if last else "CODE_WRONG", "{}", None
        number, version = row["head_number"] + 1, row["version"]
        said = (asked.now, service.action.value, result, row["channel"], row["session_id"], details)
        mac = self._seals.audit(subject, number, *said, row["head_mac"].hex())
        entry = [subject, number, mac, version, *said]
        attempt = [row["code_id"], row["tries"], consumed_at]
        if consumed_at is None:
            answer: dict[str, Any] = {"__typename": "Refusal", "code": result}
            return _Decided(entry, attempt, [], [], _encoded(service, answer))
        shown = {
            "state": CardState(state).name,
            "cardNumber": self._vault.open(row["number"], "cards.number", card_id),
        }
        answer = {"__typename": "Done", "card": shown}
        messages = self._messages(asked, row)
        return _Decided(
            entry, attempt, [card_id, state, before], messages, _encoded(service, answer)
        )

    def _card(self, asked: _Asked, rows: list[Any]) -> tuple[Any, str, str | None]:
        """The card's row, its new state, and the state before the loss that it remembers."""
        for row in rows:
            state, before = row["state"], row["state_before"]
            if state == "4" and row["state_since"] + _TEMPORARY_LOSS_LASTS <= asked.now:
                state, before = before or "1", None
            if state not in asked.service.allowed:
                continue
            unless_lost = (before or "1") if state in "24" else state
            if asked.card_number is None:
                return row, "2", unless_lost
            return row, unless_lost, None
        raise _Refused("WRONG_CARD_STATE")

    def _check_usable(self, asked: _Asked, row: Any) -> None:
        if row["code_id"] is None or row["consumed_at"] is not None:
            raise _Refused("CODE_NOT_SENT")
        if row["tries"] >= MAX_TRIES:
            raise _Refused("CODE_VOID")
        if row["expires_at"] <= asked.now:
            raise _Refused("CODE_EXPIRED")
        if row["wrong_tries"] >= self._settings.wrong_codes_per_account_hour:
            raise _Refused("TOO_MANY_TRIES")

    def _messages(self, asked: _Asked, row: Any) -> list[tuple[int, str, str, bytes]]:
        """The SMS, which cannot be switched off, and one for each bound channel."""
        notice, text = asked.service.notice, text_of(asked.service.notice).zh
        phone = self._vault.open(row["phone"], "citizens.phone", row["subject_id"])
        sms: dict[str, Any] = {
            "phone": phone,
            "template": notice.value,
            "text": f"【成都人社】{text}",
        }
        messages = [self._message(asked.now, "SMS", sms | {"purpose": None, "code": None})]
        if row["by_channel"] in (None, True, 1):
            for channel, sealed in orjson.loads(row["bound"] or "[]"):
                template = self._settings.template(channel, notice.value)
                if template is not None:
                    account = open_account(self._vault, bytes.fromhex(sealed))
                    payload: dict[str, Any] = {"channel": channel, "account": account, "text": text}
                    payload |= {"template": notice.value, "templateId": template.id}
                    messages.append(self._message(asked.now, "CHANNEL_MESSAGE", payload))
        return messages

    def _message(self, now: int, kind: str, payload: Any) -> tuple[int, str, str, bytes]:
        message_id = new_id(now)
        sealed = self._vault.seal(orjson.dumps(payload), "outbox.payload", message_id)
        return message_id, kind, f"{message_id:016x}{secrets.token_hex(8)}", sealed


def _encoded(service: _Service, answer: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"data": {service.field: answer}})


class Store(Protocol):
    async def change(self, asked: _Asked) -> bytes: ...
    async def close(self) -> None: ...


class Postgres:
    def __init__(self, pool: "asyncpg.Pool[Any]", rules: Rules) -> None:
        self._pool = pool
        self._rules = rules

    @classmethod
    async def open(cls, url: str, rules: Rules) -> "Postgres":
        async def no_reset(_: Any) -> None: ...

        pool = await asyncpg.create_pool(
            url, min_size=_CONNECTIONS, max_size=_CONNECTIONS, reset=no_reset
        )
        return cls(pool, rules)

    async def change(self, asked: _Asked) -> bytes:
        for _ in range(_ATTEMPTS):
            async with self._pool.acquire() as connection:
                decided = self._rules.decide(
                    asked, await connection.fetch(_READ_POSTGRES, *asked.read)
                )
                given = [*decided.entry, *decided.attempt]
                statement = _JUDGED
                if decided.card:
                    statement = _CHANGED
                    given += [*decided.card, asked.now + LIFETIME]
                    given += map(list, zip(*decided.messages, strict=True))
                    given += [new_id(asked.now), asked.service.notice.value]
                with contextlib.suppress(asyncpg.DivisionByZeroError, asyncpg.SerializationError):
                    await connection.fetchrow(statement, *given)
                    return decided.answer
        raise _Refused("TRY_AGAIN_LATER")

    async def close(self) -> None:
        await self._pool.close()


class Statements(Postgres):
    """In one transaction, for which the person's row is locked."""

    async def change(self, asked: _Asked) -> bytes:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK, asked.read[0])
            decided = self._rules.decide(asked, await connection.fetch(_READ_POSTGRES, *asked.read))
            given = [*decided.entry, *decided.attempt, *decided.card]
            for statement, places in _WRITES if decided.card else _WRITES[:-1]:
                await connection.execute(statement, *(given[place] for place in places))
            if decided.card:
                kept = (new_id(asked.now), asked.service.notice.value, asked.now)
                await connection.execute(_KEEP, given[0], *kept)
            for message in decided.messages:
                ends_at = asked.now + LIFETIME
                await connection.execute(_PUT, given[0], *message, asked.now, ends_at)
            return decided.answer


class Sqlite:
    """The thread begins a transaction when somebody waits, and takes in who comes meanwhile."""

    def __init__(self, path: str, rules: Rules) -> None:
        self._path = path
        self._rules = rules
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.SimpleQueue[tuple[_Asked, asyncio.Future[bytes]] | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    async def change(self, asked: _Asked) -> bytes:
        future: asyncio.Future[bytes] = self._loop.create_future()
        self._waiting.put((asked, future))
        return await future

    async def close(self) -> None:
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.row_factory = sqlite3.Row
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "busy_timeout = 5000",
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")
        while (first := self._waiting.get()) is not None:
            together = [first]
            with contextlib.suppress(queue.Empty):
                while len(together) < _AT_ONCE:
                    if (more := self._waiting.get_nowait()) is None:
                        self._waiting.put(None)
                        break
                    together.append(more)
            self._loop.call_soon_threadsafe(_settle, self._run(connection, together))
        connection.close()

    def _run(
        self, connection: sqlite3.Connection, together: list[tuple[_Asked, asyncio.Future[bytes]]]
    ) -> list[tuple[asyncio.Future[bytes], bytes | Exception]]:
        found: list[tuple[asyncio.Future[bytes], bytes | Exception]] = []
        connection.execute("BEGIN IMMEDIATE")
        try:
            for asked, future in together:
                try:
                    found.append((future, self._change(connection, asked)))
                except _Refused as refused:
                    found.append((future, refused))
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            connection.execute("ROLLBACK")
            return [(future, error) for _, future in together]
        return found

    def _change(self, connection: sqlite3.Connection, asked: _Asked) -> bytes:
        decided = self._rules.decide(asked, connection.execute(_READ_SQLITE, asked.read).fetchall())
        given = [*decided.entry, *decided.attempt]
        connection.execute(_MOVE_SQLITE, given[:4])
        connection.execute(_ENTER_SQLITE, given[:10])
        connection.execute(_TRY_SQLITE, given)
        if decided.card:
            connection.execute(_SET_STATE_SQLITE, [*given, *decided.card])
            kept = (given[0], new_id(asked.now), asked.service.notice.value, asked.now)
            connection.execute(_KEEP_SQLITE, kept)
        for message in decided.messages:
            connection.execute(_PUT_SQLITE, (given[0], *message, asked.now, asked.now + LIFETIME))
        return decided.answer


def _settle(found: list[tuple["asyncio.Future[bytes]", bytes | Exception]]) -> None:
    for future, outcome in found:
        if future.done():
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


_READ_POSTGRES = _READ.format(
    arrays="CAST(json_agg(json_build_array(b.channel, encode(b.account, 'hex'))) AS TEXT)"
)
_LOCK = "SELECT version FROM audit_heads WHERE subject_id = $1 FOR UPDATE"


def _alone(sql: str) -> tuple[str, list[int]]:
    """A statement whose parameters count from one, and the places of their values."""
    used = sorted({int(number) for number in re.findall(r"\$(\d+)", sql)})
    return re.sub(r"\$(\d+)", lambda found: f"${used.index(int(found[1])) + 1}", sql), [
        number - 1 for number in used
    ]


_WRITES = [_alone(sql) for sql in (_MOVE, _ENTER, _TRY, _SET_STATE)]


def _numbered(sql: str) -> str:
    return sql.replace("$", "?")


_READ_SQLITE = _numbered(
    _READ.format(arrays="json_group_array(json_array(b.channel, hex(b.account)))")
)
_MOVE_SQLITE, _ENTER_SQLITE, _TRY_SQLITE, _SET_STATE_SQLITE, _PUT_SQLITE, _KEEP_SQLITE = map(
    _numbered, (_MOVE, _ENTER, _TRY, _SET_STATE, _PUT, _KEEP)
)


def build(settings: Settings, statements: bool = False) -> Starlette:
    rules = Rules(keys_from(settings), settings)
    store: Store

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        nonlocal store
        path = sqlite_path(settings.database_url)
        if path is None:
            kind = Statements if statements else Postgres
            store = await kind.open(settings.database_url, rules)
        else:
            store = Sqlite(str(path), rules)
        yield
        await store.close()

    async def change_loss(request: Request) -> Response:
        """One URL for both mutations, so that the load can alternate between them."""
        given = orjson.loads(await request.body())["variables"]["i"]
        token = request.headers["authorization"].removeprefix("Bearer ")
        try:
            answer = await store.change(rules.ask(token, given))
        except _Refused as refused:
            answer = orjson.dumps({"data": {"changeLoss": {"code": str(refused)}}})
        return Response(answer, media_type="application/json")

    async def ready(_: Request) -> Response:
        return Response(b"ok")

    routes = [Route("/changeLoss", change_loss, methods=["POST"]), Route("/readyz", ready)]
    return Starlette(lifespan=lifespan, routes=routes)


def main() -> None:
    settings = sandbox_settings(Settings.read())
    app = build(settings, "statements" in sys.argv)
    uvicorn.run(app, port=settings.port, log_config=None, access_log=False)


if __name__ == "__main__":
    main()
