"""Private parts of libraries that this code subclasses or reaches into.

None of these names is promised by its library: any release may rename it or give it another
meaning. Each library has an upper bound in pyproject.toml, and before a bound is raised, what
is listed here has to be read again.
"""

import ast
import inspect
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_HTTP = "uvicorn.protocols.http.httptools_impl"
_WEBSOCKETS = "uvicorn.protocols.websockets.websockets_sansio_impl"
_STRAWBERRY_WS = "strawberry.subscriptions.protocols.graphql_transport_ws"
_PROTOCOL = ("gateway/http/server/protocol.py",)
_SEQUENTIAL = ("gateway/http/server/sequential.py",)
_TIMED_SOCKETS = ("gateway/http/server/websockets.py",)
_VIEW = ("gateway/http/graphql/view.py",)
_SOCKETS = ("gateway/http/graphql/sockets.py",)
_INPUTS = ("gateway/compiled/strawberry_inputs.py",)
_FIELDS = ("gateway/compiled/strawberry_fields.py",)
_RUNS = ("gateway/compiled/runs.py",)
_ARGUMENTS = ("gateway/compiled/arguments.py",)
_QUERY = ("core/db/query.py",)
_SQLITE = ("core/db/sqlite.py",)
_POSTGRES = ("core/db/postgres.py",)

PRIVATE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "aiosqlite": {
        "aiosqlite:Connection._conn": _SQLITE,
        "aiosqlite:Connection.commit": _SQLITE,
    },
    "graphql-core": {
        "graphql.execution:Executor": _RUNS,
        "graphql.execution:Executor.async_helpers": _RUNS,
        "graphql.execution:Executor.build_resolve_info": _RUNS,
        "graphql.execution.collect_fields:FragmentDetails": (*_RUNS, "gateway/compiled/plans.py"),
        "graphql.execution.get_variable_signature:GraphQLVariableSignature": _ARGUMENTS,
        "graphql.execution.get_variable_signature:get_variable_signature": _ARGUMENTS,
        "graphql.execution.incremental.incremental_executor:IncrementalExecutor": (
            "gateway/compiled/plan_cache.py",
        ),
        "graphql.execution.values:VariableValueSource": _ARGUMENTS,
        "graphql.utilities.coerce_input_value:coerce_default_value": (
            "gateway/compiled/coercing.py",
        ),
    },
    "sqlalchemy": {
        "sqlalchemy.dialects.postgresql.asyncpg:PGDialect_asyncpg": _POSTGRES,
        "sqlalchemy.dialects.sqlite.aiosqlite:SQLiteDialect_aiosqlite": (
            "core/db/sqlite_writer.py",
        ),
        "sqlalchemy.sql.compiler:SQLCompiler.binds": _QUERY,
        "sqlalchemy.sql.compiler:SQLCompiler.positiontup": _QUERY,
    },
    "strawberry-graphql": {
        "strawberry:Schema._schema": (
            "gateway/app/factory.py",
            "gateway/cli/operation_manifest.py",
            "gateway/http/admission/prepared.py",
            "gateway/schema/__init__.py",
        ),
        "strawberry.asgi:GraphQL.create_response": _VIEW,
        "strawberry.asgi:GraphQL.get_sub_response": _VIEW,
        "strawberry.asgi:GraphQL.graphql_transport_ws_handler_class": _VIEW,
        "strawberry.asgi:GraphQL.parse_http_body": _VIEW,
        "strawberry.asgi:GraphQL.process_result": _VIEW,
        "strawberry.asgi:GraphQL.request_adapter_class": _VIEW,
        "strawberry.asgi:GraphQL.run": _VIEW,
        "strawberry.asgi:GraphQL.should_render_graphql_ide": _VIEW,
        "strawberry.asgi:GraphQL.stream_transport_classes_by_protocol": _VIEW,
        "strawberry.execution:optimized_is_awaitable": _RUNS,
        "strawberry.http.streaming:HTTPStreamTransport": _VIEW,
        "strawberry.http.streaming:SSETransport.encode_next": _VIEW,
        "strawberry.schema.exception_handlers:ExceptionHandler": _FIELDS,
        "strawberry.schema.exception_handlers:get_error_type": _FIELDS,
        "strawberry.schema.exception_handlers:get_exception_types": _FIELDS,
        "strawberry.schema.schema:StrawberryGraphQLCoreExecutionContext": (
            "gateway/compiled/plan_cache.py",
            "gateway/http/server/fast_path.py",
        ),
        "strawberry.schema.schema_converter:CustomGraphQLEnumType": ("gateway/compiled/leaves.py",),
        "strawberry.schema.schema_converter:GraphQLCoreConverter.DEFINITION_BACKREF": (
            *_FIELDS,
            "gateway/compiled/strawberry_types.py",
            "gateway/http/server/fast_path.py",
            "gateway/http/graphql/public.py",
        ),
        "strawberry.schema.schema_converter:GraphQLCoreConverter.from_resolver": _FIELDS,
        "strawberry.schema.schema_converter:field_contains_type": _FIELDS,
        f"{_STRAWBERRY_WS}.handlers:BaseGraphQLTransportWSHandler.connection_acknowledged": _SOCKETS,
        f"{_STRAWBERRY_WS}.handlers:BaseGraphQLTransportWSHandler.handle_invalid_message": _SOCKETS,
        f"{_STRAWBERRY_WS}.handlers:BaseGraphQLTransportWSHandler.handle_message": _SOCKETS,
        f"{_STRAWBERRY_WS}.handlers:BaseGraphQLTransportWSHandler.handle_subscribe": _SOCKETS,
        f"{_STRAWBERRY_WS}.handlers:BaseGraphQLTransportWSHandler.handle_task_exception": _SOCKETS,
        f"{_STRAWBERRY_WS}.handlers:BaseGraphQLTransportWSHandler.run_operation": _SOCKETS,
        f"{_STRAWBERRY_WS}.handlers:BaseGraphQLTransportWSHandler.send_message": _SOCKETS,
        f"{_STRAWBERRY_WS}.handlers:Operation": _SOCKETS,
        f"{_STRAWBERRY_WS}.types:Message": _SOCKETS,
        f"{_STRAWBERRY_WS}.types:SubscribeMessage": _SOCKETS,
        "strawberry.types.arguments:convert_argument": _INPUTS,
        "strawberry.types.base:StrawberryList": _INPUTS,
        "strawberry.types.base:StrawberryMaybe": _INPUTS,
        "strawberry.types.base:StrawberryObjectDefinition": _INPUTS,
        "strawberry.types.base:StrawberryOptional": _INPUTS,
        "strawberry.types.base:get_object_definition": _INPUTS,
        "strawberry.types.cast:TYPE_CAST_ATTRIBUTE": ("gateway/compiled/strawberry_types.py",),
        "strawberry.types.enum:EnumValue": ("gateway/schema/channels.py",),
        "strawberry.types.enum:StrawberryEnumDefinition": _INPUTS,
        "strawberry.types.enum:has_enum_definition": _INPUTS,
        "strawberry.types.execution:PreExecutionError": _VIEW,
        "strawberry.types.fields.resolver:StrawberryResolver": _FIELDS,
        "strawberry.types.info:Info._field": _FIELDS,
        "strawberry.types.info:Info._raw_info": _FIELDS,
        "strawberry.types.union:StrawberryUnion.get_type_resolver": (
            "gateway/compiled/strawberry_types.py",
        ),
        "strawberry.utils.await_maybe:await_maybe": (*_FIELDS, "gateway/compiled/lists.py"),
    },
    "uvicorn": {
        f"{_HTTP}:STATUS_LINE": _PROTOCOL,
        **{
            f"{_HTTP}:HttpToolsProtocol.{name}": _PROTOCOL
            for name in (
                "app_state",
                "cycle",
                "expect_100_continue",
                "headers",
                "limit_concurrency",
                "logger",
                "on_message_begin",
                "shutdown",
                "tasks",
                "url",
            )
        },
        **{
            f"{_HTTP}:HttpToolsProtocol.{name}": _SEQUENTIAL
            for name in (
                "_unset_keepalive_if_required",
                "client",
                "connections",
                "flow",
                "handle_websocket_upgrade",
                "loop",
                "on_body",
                "on_header",
                "on_headers_complete",
                "on_message_complete",
                "on_response_complete",
                "parser",
                "scope",
                "server_state",
                "timeout_keep_alive",
                "transport",
            )
        },
        **{
            f"{_HTTP}:RequestResponseCycle.{name}": _SEQUENTIAL
            for name in ("disconnected", "message_event", "response_complete", "response_started")
        },
        **{
            f"{_WEBSOCKETS}:WebSocketsSansIOProtocol.{name}": _TIMED_SOCKETS
            for name in (
                "close_sent",
                "close_timeout",
                "conn",
                "disconnected",
                "frames",
                "handle_connect",
                "curr_msg_data_type",
                "handle_events",
                "handshake_complete",
                "handshake_initiated",
                "keepalive_timeout",
                "queue",
                "read_paused",
                "send_receive_event_to_app",
                "stop_keepalive",
                "writable",
            )
        },
    },
    # What uvicorn's WebSocketsSansIOProtocol is built on.
    "websockets": {
        "websockets.protocol:Protocol.data_to_send": _TIMED_SOCKETS,
        "websockets.protocol:Protocol.events": _TIMED_SOCKETS,
        "websockets.protocol:Protocol.events_received": _TIMED_SOCKETS,
        "websockets.protocol:Protocol.send_close": _TIMED_SOCKETS,
        "websockets.server:ServerProtocol": (),
    },
}
"""For each library, `module:name` with the files of this project that use it."""

PRIVATE_MODULES = re.compile(
    r"uvicorn\.protocols\.|graphql\.execution\.|graphql\.utilities\.|sqlalchemy\.dialects\.\w+\.\w+$"
    r"|strawberry\.(execution$|http\.streaming$|subscriptions\.protocols\.|utils\.)"
    r"|strawberry\.schema\.(?!config$)|strawberry\.types\.(?!field$|info$)"
)
"""Modules whose names no documentation of the library lists."""


def defines(spec: str) -> bool:
    """Whether the installed version has the name: as an attribute, or assigned to an instance."""
    module, _, path = spec.partition(":")
    first, *rest = path.split(".")
    found = getattr(import_module(module), first, None)
    if found is None or not rest:
        return found is not None
    (name,) = rest
    return hasattr(found, name) or any(
        re.search(rf"\b(self\.{name}\b|{name}: )", inspect.getsource(base))
        for base in found.__mro__
        if base.__module__.partition(".")[0] == module.partition(".")[0]
    )


def bound(library: str, dependencies: list[str]) -> str | None:
    """The upper bound of a dependency, if it has one."""
    for dependency in dependencies:
        if match := re.fullmatch(rf"{library}(?:\[\w+\])?>=[\d.]+,(<[\d.]+)", dependency):
            return match[1]
    return None


@cache
def dependencies() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return list(project["project"]["dependencies"])


@cache
def sources() -> dict[str, str]:
    return {
        str(path.relative_to(ROOT)): path.read_text("utf-8")
        for package in ("core", "gateway", "sandbox")
        for path in (ROOT / package).rglob("*.py")
    }


def private_imports(texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for file, text in texts.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and PRIVATE_MODULES.match(node.module or ""):
                for alias in node.names:
                    yield f"{node.module}:{alias.name}", file


def foreign_attributes(texts: Mapping[str, str]) -> set[str]:
    """Attributes that begin with an underscore and that nothing here defines."""
    read: set[str] = set()
    own: set[str] = set()
    for text in texts.values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr):
                (read if isinstance(node.ctx, ast.Load) else own).add(node.attr)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                own.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                own.add(node.id)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                own.add(node.value)  # a slot
    return read - own


def listed() -> set[str]:
    return {spec for names in PRIVATE.values() for spec in names}


@pytest.mark.parametrize("library", PRIVATE)
def test_the_installed_version_has_every_private_name(library: str) -> None:
    assert [spec for spec in PRIVATE[library] if not defines(spec)] == []


@pytest.mark.parametrize("library", PRIVATE)
def test_a_library_whose_private_parts_are_used_has_an_upper_bound(library: str) -> None:
    assert bound(library, dependencies()) is not None


def test_every_private_name_is_used_where_it_is_listed() -> None:
    assert [
        (spec, file)
        for names in PRIVATE.values()
        for spec, files in names.items()
        for file in files
        if not re.search(rf"\b{re.split('[:.]', spec)[-1]}\b", sources()[file])
    ] == []


def test_every_use_of_a_private_part_is_listed() -> None:
    with_classes = listed() | {spec.rpartition(".")[0] for spec in listed()}
    names = {spec.rpartition(".")[2] for spec in listed()}

    assert [use for use in private_imports(sources()) if use[0] not in with_classes] == []
    assert foreign_attributes(sources()) - names == set()


def test_a_missing_name_a_missing_bound_and_an_unlisted_use_are_found() -> None:
    """The control."""
    assert not defines(f"{_HTTP}:HttpToolsProtocol._no_such_method")
    assert not defines(f"{_HTTP}:NoSuchClass")
    assert bound("uvicorn", ["uvicorn>=0.54"]) is None
    assert bound("uvicorn", ["uvicorn>=0.54,<0.55"]) == "<0.55"
    text = "from uvicorn.protocols.http.h11_impl import H11Protocol\nprint(pool._holders)\n"
    assert list(private_imports({"a.py": text})) == [
        ("uvicorn.protocols.http.h11_impl:H11Protocol", "a.py")
    ]
    assert foreign_attributes({"a.py": text}) == {"_holders"}
