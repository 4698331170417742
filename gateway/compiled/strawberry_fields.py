"""strawberry's resolvers, without the work that strawberry repeats at every call.

A resolver is called without strawberry's wrappers if their effect is known at compile time:
which of `self`, `root`, `info` the function takes, the names of its arguments, and which
exceptions become a member of the result union. Fields with extensions or permissions, and
subclasses of strawberry's own classes, keep their wrappers.
"""

import inspect
from collections.abc import Awaitable, Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from strawberry import Schema
from strawberry.schema.exception_handlers import (
    ExceptionHandler,
    get_error_type,
    get_exception_types,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter, field_contains_type
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import StrawberryResolver
from strawberry.types.info import Info
from strawberry.utils.await_maybe import await_maybe

from gateway.compiled.fields import Arguments, Field, Resolver
from gateway.compiled.runs import Path, Run, is_awaitable
from gateway.compiled.strawberry_inputs import argument_converter

BACKREF = GraphQLCoreConverter.DEFINITION_BACKREF
_WRAPPED = f"{GraphQLCoreConverter.from_resolver.__qualname__}.<locals>."
Invoke: TypeAlias = Callable[[Any, Info, Arguments], Any]


class PlanInfo(Info):
    """strawberry's `Info`; graphql-core's `GraphQLResolveInfo` is built on first access only."""

    __slots__ = ("_path", "_plan_field", "_run", "context")
    context: Any

    def __init__(self, run: Run, field: Field, given: StrawberryField, path: Path) -> None:
        self._field = given
        self._run = run
        self._plan_field = field
        self._path = path
        self.context = run.context

    if not TYPE_CHECKING:

        @property
        def _raw_info(self) -> Any:
            return self._plan_field.info(self._run, self._path)


def strawberry_resolver(field: Field) -> Resolver | None:
    """None if the wrappers must be kept."""
    schema = field.schema.extensions.get(BACKREF)
    given = field.definition.extensions.get(BACKREF)
    wrapper = getattr(field.definition.resolve, "__qualname__", "")
    if (
        not isinstance(schema, Schema)
        or not isinstance(given, StrawberryField)
        or type(given).get_result is not StrawberryField.get_result
        or not wrapper.startswith(_WRAPPED)
        or given.extensions
        or given.is_subscription
    ):
        return None
    handlers = _handlers(schema, given)
    if given.base_resolver is None:
        return None if handlers else _attribute(schema, given)
    if type(given.base_resolver) is not StrawberryResolver:
        return None
    return _function(schema, field, given, handlers)


def _attribute(schema: Schema, given: StrawberryField) -> Resolver:
    name = given.python_name
    read = schema.config.default_resolver
    plain = attrgetter(name) if read is getattr else lambda source: read(source, name)

    def call(run: Run, source: Any, path: Path, arguments: Arguments) -> Any:
        return plain(source)

    return Resolver(call, plain=plain)


def _function(
    schema: Schema, field: Field, given: StrawberryField, handlers: "_Handlers"
) -> Resolver | None:
    resolver = given.base_resolver
    assert resolver is not None
    function = resolver.wrapped_func
    if not callable(function) or inspect.isasyncgenfunction(function):
        return None
    invoke = _invocation(schema, given, resolver, function)

    info_class = schema.config.info_class

    def plan_info(run: Run, path: Path) -> Info:
        return PlanInfo(run, field, given, path)

    def own_info(run: Run, path: Path) -> Info:
        return info_class(_raw_info=field.info(run, path), _field=given)

    info_of = plan_info if info_class is Info else own_info

    if resolver.is_async:
        return Resolver(_async_call(given, invoke, info_of, handlers), is_async=True)
    if info_of is plan_info and not handlers and _takes_self_and_info(given, resolver):

        def with_info(run: Run, source: Any, path: Path, arguments: Arguments) -> Any:
            return function(source, info=PlanInfo(run, field, given, path))

        return Resolver(with_info)
    plain = None
    if not (handlers or given.arguments or _injected_parameters(resolver)):
        plain = function if resolver.self_parameter else lambda _source: function()
    return Resolver(_sync_call(given, invoke, info_of, handlers), plain=plain)


def _injected_parameters(resolver: "StrawberryResolver[Any]") -> list[Any]:
    """The parameters that strawberry injects by name, except `self`."""
    return [
        parameter
        for parameter in (
            resolver.parent_parameter,
            resolver.root_parameter,
            resolver.info_parameter,
        )
        if parameter is not None
    ]


def _takes_self_and_info(given: StrawberryField, resolver: "StrawberryResolver[Any]") -> bool:
    wanted = _injected_parameters(resolver)
    return (
        resolver.self_parameter is not None
        and [parameter.name for parameter in wanted] == ["info"]
        and wanted == [resolver.info_parameter]
        and not given.arguments
    )


def _invocation(
    schema: Schema,
    given: StrawberryField,
    resolver: "StrawberryResolver[Any]",
    function: Callable[..., Any],
) -> Invoke:
    takes_self = resolver.self_parameter is not None
    info_name = resolver.info_parameter.name if resolver.info_parameter else None
    sources = [
        parameter.name
        for parameter in (resolver.parent_parameter, resolver.root_parameter)
        if parameter is not None
    ]
    convert = argument_converter(schema, given)

    if _takes_self_and_info(given, resolver):
        return lambda source, info, _arguments: function(source, info=info)

    def invoke(source: Any, info: Info, arguments: Arguments) -> Any:
        named = convert(arguments, info)
        for name in sources:
            named[name] = source
        if info_name is not None:
            named[info_name] = info
        return function(source, **named) if takes_self else function(**named)

    return invoke


def _sync_call(
    given: StrawberryField,
    invoke: Invoke,
    info_of: Callable[[Run, Path], Info],
    handlers: "_Handlers",
) -> Callable[[Run, Any, Path, Arguments], Any]:
    def call(run: Run, source: Any, path: Path, arguments: Arguments) -> Any:
        return invoke(source, info_of(run, path), arguments)

    def guarded(run: Run, source: Any, path: Path, arguments: Arguments) -> Any:
        info = info_of(run, path)
        try:
            result = invoke(source, info, arguments)
        except Exception as error:
            handled = handlers.handle(error, given, info)
            if handled is None:
                raise
            return handled
        return awaited(result, info) if is_awaitable(result) else result

    async def awaited(result: Awaitable[Any], info: Info) -> Any:
        try:
            return await result
        except Exception as error:
            handled = await await_maybe(handlers.handle(error, given, info))
            if handled is None:
                raise
            return handled

    return guarded if handlers else call


def _async_call(
    given: StrawberryField,
    invoke: Invoke,
    info_of: Callable[[Run, Path], Info],
    handlers: "_Handlers",
) -> Callable[[Run, Any, Path, Arguments], Any]:
    async def call(run: Run, source: Any, path: Path, arguments: Arguments) -> Any:
        info = info_of(run, path)
        try:
            return await invoke(source, info, arguments)
        except Exception as error:
            handled = await await_maybe(handlers.handle(error, given, info))
            if handled is None:
                raise
            return handled

    return call


class _Handlers:
    """The schema's exception handlers whose error is a member of the field's union."""

    def __init__(self, handlers: list[tuple[tuple[type[Exception], ...], ExceptionHandler[Any]]]):
        self._handlers = handlers

    def __bool__(self) -> bool:
        return bool(self._handlers)

    def handle(self, error: Exception, given: StrawberryField, info: Info) -> Any:
        """None if no handler matches the error."""
        for types, handler in self._handlers:
            if isinstance(error, types):
                return handler.handle(error, field=given, info=info)
        return None


def _handlers(schema: Schema, given: StrawberryField) -> _Handlers:
    return _Handlers(
        [
            (get_exception_types(handler), handler)
            for handler in schema.exception_handlers
            if field_contains_type(given, get_error_type(handler))
        ]
    )
