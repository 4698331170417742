"""A field of the answer: its arguments read, its resolver called, its value finished."""

from typing import Any

from graphql import TypeNameMetaFieldDef

from gateway.compiled.arguments import argument_reader
from gateway.compiled.completing import slot_for
from gateway.compiled.fields import Field, Plain, Resolver, resolver_as_given, resolver_of_default
from gateway.compiled.objects import SelectionOf
from gateway.compiled.runs import Run, Where
from gateway.compiled.selecting import Step
from gateway.compiled.slots import Part, Slot
from gateway.compiled.strawberry_fields import strawberry_resolver


def step_for(field: Field, selection_of: SelectionOf) -> Step:
    if field.definition is TypeNameMetaFieldDef:
        name = field.parent_type.name
        return Step(field.key, lambda _run, _source, _above: name)
    slot = slot_for(field, field.definition.type, selection_of)
    resolver = _resolver(field)
    if resolver.plain is not None:
        return _plain(field, slot, resolver.plain)
    return Step(field.key, _called(field, slot, resolver))


def _resolver(field: Field) -> Resolver:
    if field.definition.resolve is None:
        return resolver_of_default(field)
    return strawberry_resolver(field) or resolver_as_given(field)


def _plain(field: Field, slot: Slot, resolve: Plain) -> Step:
    key, typename = field.key, field.parent_type.name
    finish, fail = slot.finish, slot.fail

    def part(run: Run, source: Any, above: Where) -> Any:
        try:
            value = resolve(source)
        except Exception as error:
            return fail(run, error, (above, key, typename))
        return finished(run, value, above)

    def finished(run: Run, value: Any, above: Where) -> Any:
        try:
            return finish(run, value, (above, key, typename))
        except Exception as error:
            return fail(run, error, (above, key, typename))

    def failed(run: Run, error: Exception, above: Where) -> None:
        fail(run, error, (above, key, typename))

    return Step(key, part, resolve, slot.exact, slot.absent, slot.names, finished, failed)


def _called(field: Field, slot: Slot, resolver: Resolver) -> Part:
    key, typename = field.key, field.parent_type.name
    exact, absent, names, finish, fail = (
        slot.exact,
        slot.absent,
        slot.names,
        slot.finish,
        slot.fail,
    )
    call, arguments = resolver.call, argument_reader(field.definition, field.nodes[0])
    constants, read = ({}, arguments) if callable(arguments) else (arguments or {}, None)

    def awaited_part(run: Run, source: Any, above: Where) -> Any:
        where = (above, key, typename)
        try:
            coroutine = call(run, source, where, constants if read is None else read(run))
        except Exception as error:
            return fail(run, error, where)
        run.waiting += 1
        return slot.finish_awaited(run, coroutine, where)

    if resolver.is_async:
        return awaited_part

    def part(run: Run, source: Any, above: Where) -> Any:
        where = (above, key, typename)
        try:
            value = call(run, source, where, constants if read is None else read(run))
            if value.__class__ is exact or value is absent:
                return value
            if names and (name := names.get(id(value))) is not None:
                return name
            return finish(run, value, where)
        except Exception as error:
            return fail(run, error, where)

    return part
