"""Compiled execution of GraphQL: a validated document is compiled once into a plan of closures.

The package depends on graphql-core and strawberry only. `Plans(schema).execute` replaces
`graphql.execute`; `make_plan` compiles one plan, whose `execute` runs it.

A plan returns what graphql-core returns: the same bytes, the same errors in the same order.
What plans do not support is executed by graphql-core, which is decided before execution
starts: introspection, subscriptions, `@defer` and `@stream`, fragment arguments, field
middleware, and executors or resolvers passed with the call.

    plan_cache   the plans of the documents that are kept, by operation
    plans        one operation: its variables, its variants by @skip and @include
    collecting   the fields of a selection set for an object type (CollectFields)
    field_steps  one field: arguments, resolver, value (ExecuteField)
    completing   leaf, list, object and abstract types (CompleteValue)
    selecting    the fields of an object, in parallel or serially (ExecuteSelectionSet)
    completers   completes one value, awaits it, and handles its errors
    runs         the state of one execution: context, errors, pending awaitables

`strawberry_fields`, `strawberry_inputs` and `strawberry_types` contain all knowledge of
strawberry. docs/adr/0005-compiled-execution.md explains the design and how it is verified.
"""

from gateway.compiled.arguments import COERCION
from gateway.compiled.plan_cache import Plans
from gateway.compiled.plans import MAX_VARIANTS, Plan, make_plan

__all__ = ["COERCION", "MAX_VARIANTS", "Plan", "Plans", "make_plan"]
