"""Every statement of the program by its name, and those that touch many persons, with the reason."""

import ast
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from core.db import Query

_REASONS: Mapping[str, Iterable[str]] = {
    "jobs: what is due or too old, whoever's it is": (
        "core.applications.drafts.DISCARD_OLD",
        "core.applications.prefills.DISCARD_OLD",
        "core.cards.cards._EXPIRED_LOSSES",
        "core.cards.elsewhere.DELETE_OLD",
        "core.citizens.code_exchanges.FORGET_OLD",
        "core.citizens.nonces.FORGET_OLD",
        "core.issuer.event_store._OPEN",
        "core.jobs.garbage_collection._ABANDONED_UPLOADS",
        "core.jobs.garbage_collection._NAMES_IN_PICTURES",
        "core.jobs.garbage_collection._NAMES_IN_UPLOADS",
        "core.jobs.garbage_collection._UNUSED_PICTURES",
        "core.jobs.maintenance._CODES",
        "core.jobs.maintenance._COUNTERS",
        "core.jobs.maintenance._DEAD_MESSAGES",
        "core.jobs.maintenance._END_CODES",
        "core.jobs.maintenance._END_SESSIONS",
        "core.jobs.maintenance._EVENTS",
        "core.jobs.maintenance._MESSAGES",
        "core.jobs.maintenance._SESSIONS",
        "core.jobs.maintenance._SETTLED_MESSAGES",
        "core.jobs.schedule._ALL",
        "core.unit_of_work.idempotency.DELETE_OLD",
    ),
    "the queue's sweep, for wake-ups that were lost": (
        "core.messaging.backlog._PAGES",
        "core.messaging.backlog._WAITING",
        "core.messaging.outbox.ANY_NEW",
    ),
    "commands of an operator": (
        "core.citizens.quotas.CLEAR",
        "core.messaging.outbox._OPEN",
        "core.storage.pictures._AFTER",
    ),
    "figures of the operations port and of how long a card takes": (
        "core.production.history._COMPLETED",
        "gateway.http.endpoints.health._EVENTS",
        "gateway.http.endpoints.health._MESSAGES",
    ),
    "the few keys of one sign-in or binding, in one message": (
        "core.citizens.claims._FIND_ANY",
        "core.citizens.nonces._FIND_SOME",
    ),
    "many persons in one batch: the issuer's events, an import, live updates": (
        "core.cards.cards._OF_SUBJECTS",
        "core.citizens.citizens._WITH_HEADS",
        "core.citizens.claims._FIND_MANY",
        "core.citizens.sessions._OPEN_AMONG",
        "core.imports.batch._HOLDERS",
        "core.issuer.event_store._OF_SUBJECTS",
        "core.production.changes._SNAPSHOTS",
        "core.production.orders._OF_CITIZENS",
    ),
    "an account at a platform, which may have sessions of several subjects": (
        "core.citizens.code_exchanges._ERASE",
        "core.citizens.sessions._ERASE_ACCOUNT",
    ),
    "the counters of one request, each by its own key": ("core.citizens.quotas._FIND",),
    "anchors and verification: every chain": (
        "core.audit.anchors._END_OF_PAGE",
        "core.audit.anchors._LAST",
        "core.audit.anchors._MOVED",
        "core.audit.batches._ROWS_AFTER",
        "core.audit.verify._ANCHORED_AFTER",
        "core.audit.verify._ANCHORS_AFTER",
        "core.audit.verify._BEYOND",
        "core.audit.verify._COVERED_LATE",
        "core.audit.verify._FOREIGN",
        "core.audit.verify._HEADLESS",
        "core.audit.verify._HEADS_AFTER",
        "core.audit.verify._NOT_ANCHORED",
        "core.audit.verify._NOT_REACHED",
        "core.audit.verify._OLDER_ENTRIES",
        "core.audit.verify._OLDEST_ANCHOR",
        "core.audit.verify._UNANCHORED",
        *(
            f"core.audit.verify._MALFORMED[{table}]"
            for table in (
                "access_log",
                "audit_anchored_heads",
                "audit_anchors",
                "audit_entries",
                "audit_heads",
            )
        ),
    ),
}
MANY: Mapping[str, str] = {name: reason for reason, names in _REASONS.items() for name in names}
"""Statements over many persons by where they stand, and why each must be."""

JOINED_AFTERWARDS: Mapping[str, str] = {
    "core.audit.verify._COVERED_LATE": "its windows are read first, and joined where it was asked",
}
"""Statements that join what is split by different columns, and how that can be."""

MADE_WHEN_CALLED: Mapping[str, str] = {
    "core.audit.foreign.foreign_to": "when its module is imported",
    "core.audit.well_formed.malformed": "when its module is imported",
    "core.cards.prefetch.of_holder": "when its module is imported",
    "core.citizens.citizens._change": "when its module is imported",
    "core.db.query.insert_into": "when its module is imported",
    "core.jobs.garbage_collection._delete": "when its module is imported",
    "core.jobs.maintenance.removal": "when its module is imported",
    "core.keys.claim_keys.count_stale": "by `rotate-keys`, over all rows",
    "core.keys.claim_keys.stale": "by `rotate-keys`, over all rows",
    "core.keys.rotation._TableRotation.__init__": "by `rotate-keys`, over all rows",
    "core.keys.rotation.count_stale": "by `rotate-keys`, over all rows",
    "core.production.orders._change": "when its module is imported",
}
"""Functions that make a statement, and when."""

PACKAGES = ("core", "gateway")
_NOT_IMPORTED = ("__main__", "core.migrations.env", "core.migrations.versions")


def modules() -> list[ModuleType]:
    """Every module of the program, imported."""
    found = []
    for name in PACKAGES:
        package = import_module(name)
        found.append(package)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.startswith(_NOT_IMPORTED) and "__main__" not in module.name:
                found.append(import_module(module.name))
    return found


def named_queries() -> dict[str, Query]:
    """The statements that exist once all modules are imported, by where they stand in which."""
    found: dict[int, tuple[str, Query]] = {}
    for module in sorted(modules(), key=lambda module: -module.__name__.count(".")):
        for name, value in vars(module).items():
            for where, query in _queries_in(value, f"{module.__name__}.{name}", set()):
                if id(query) not in found or _defines(module, name):
                    found[id(query)] = (where, query)
    return dict(sorted(found.values(), key=lambda pair: pair[0]))


def _defines(module: ModuleType, name: str) -> bool:
    return re.search(rf"^{name}\b[^\n=(]*=", _text_of(module), re.MULTILINE) is not None


@cache
def _text_of(module: ModuleType) -> str:
    return Path(module.__file__ or "").read_text("utf-8")


def _queries_in(value: Any, where: str, seen: set[int]) -> Iterator[tuple[str, Query]]:
    """In containers, and in objects and classes of the program."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Query):
        yield where, value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _queries_in(one, f"{where}[{_shown(key)}]", seen)
    elif isinstance(value, list | tuple | set | frozenset):
        for number, one in enumerate(value):
            yield from _queries_in(one, f"{where}[{number}]", seen)
    elif type(value).__module__.startswith(PACKAGES) or _is_class_of_ours(value):
        for name, one in _attributes(value).items():
            yield from _queries_in(one, f"{where}.{name}", seen)


def _is_class_of_ours(value: Any) -> bool:
    return isinstance(value, type) and value.__module__.startswith(PACKAGES)


def _attributes(value: Any) -> dict[str, Any]:
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    found = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return found | dict(getattr(value, "__dict__", {}))


def _shown(key: Any) -> str:
    return str(getattr(key, "name", key))


def functions_that_make_queries() -> set[str]:
    """The functions, by module and name, in which a statement is made each time they are called."""
    found = set()
    for module in modules():
        for name, function in _functions(ast.parse(_text_of(module)).body, module.__name__):
            if any(_makes_a_query(node) for node in ast.walk(function)):
                found.add(name)
    return found


def _functions(body: Iterable[ast.stmt], where: str) -> Iterator[tuple[str, ast.AST]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{where}.{node.name}", node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{where}.{node.name}")


def _makes_a_query(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"Query", *(kind.__name__ for kind in Query.__subclasses__())}
    )
