"""ExecuteField: reads the arguments, calls the resolver, completes the value."""

from typing import Any

from graphql import TypeNameMetaFieldDef

from gateway.compiled.arguments import argument_reader
from gateway.compiled.completers import CompleteFn, Completer
from gateway.compiled.completing import completer_for
from gateway.compiled.fields import Field, Plain, Resolver, resolver_as_given, resolver_of_default
from gateway.compiled.objects import SelectionOf
from gateway.compiled.runs import Path, Run
from gateway.compiled.selecting import Step
from gateway.compiled.strawberry_fields import strawberry_resolver


def step_for(field: Field, selection_of: SelectionOf) -> Step:
    if field.definition is TypeNameMetaFieldDef:
        name = field.parent_type.name
        return Step(field.key, lambda _run, _source, _above: name)
    completer = completer_for(field, field.definition.type, selection_of)
    resolver = _resolver(field)
    if resolver.plain is not None:
        return _plain(field, completer, resolver.plain)
    return Step(field.key, _called(field, completer, resolver))


def _resolver(field: Field) -> Resolver:
    if field.definition.resolve is None:
        return resolver_of_default(field)
    return strawberry_resolver(field) or resolver_as_given(field)


def _plain(field: Field, completer: Completer, resolve: Plain) -> Step:
    key, typename = field.key, field.parent_type.name
    finish, fail = completer.finish, completer.fail

    def part(run: Run, source: Any, above: Path) -> Any:
        try:
            value = resolve(source)
        except Exception as error:
            return fail(run, error, (above, key, typename))
        return finished(run, value, above)

    def finished(run: Run, value: Any, above: Path) -> Any:
        try:
            return finish(run, value, (above, key, typename))
        except Exception as error:
            return fail(run, error, (above, key, typename))

    def failed(run: Run, error: Exception, above: Path) -> None:
        fail(run, error, (above, key, typename))

    return Step(
        key, part, resolve, completer.exact, completer.absent, completer.names, finished, failed
    )


def _called(field: Field, completer: Completer, resolver: Resolver) -> CompleteFn:
    key, typename = field.key, field.parent_type.name
    exact, absent, names, finish, fail = (
        completer.exact,
        completer.absent,
        completer.names,
        completer.finish,
        completer.fail,
    )
    call, arguments = resolver.call, argument_reader(field.definition, field.nodes[0])
    constants, read = ({}, arguments) if callable(arguments) else (arguments or {}, None)

    def awaited_part(run: Run, source: Any, above: Path) -> Any:
        path = (above, key, typename)
        try:
            coroutine = call(run, source, path, constants if read is None else read(run))
        except Exception as error:
            return fail(run, error, path)
        run.pending += 1
        return completer.finish_awaited(run, coroutine, path)

    if resolver.is_async:
        return awaited_part

    def part(run: Run, source: Any, above: Path) -> Any:
        path = (above, key, typename)
        try:
            value = call(run, source, path, constants if read is None else read(run))
            if value.__class__ is exact or value is absent:
                return value
            if names and (name := names.get(id(value))) is not None:
                return name
            return finish(run, value, path)
        except Exception as error:
            return fail(run, error, path)

    return part
