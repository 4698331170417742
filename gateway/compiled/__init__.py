"""Compiled execution of GraphQL: a validated document becomes a plan once, and the plan is run.

It stands alone: it knows graphql-core and strawberry, and nothing of cards. `Plans(schema).execute`
takes the place of `graphql.execute`; `make_plan` makes one plan, whose `execute` runs it.

What a plan answers is what graphql-core answers: the same bytes, the same errors in the same
order. What plans do not cover goes to graphql-core, decided before anything has run:
introspection, subscriptions, `@defer` and `@stream`, fragment arguments, field middleware, and
executors or resolvers given with the call.

    keeping     the last plans, by document and operation
    plans       one operation: its variables, its variants by @skip and @include
    collecting  which fields a selection holds for a type
    parts       one field: arguments, resolver, value
    completing  leaves, lists, objects: how a value becomes a part of the answer
    selecting   the fields of an object, side by side or one after another
    slots       where a value stands, is awaited, or fails
    runs        what one run holds: context, errors, what is awaited

`strawberry_fields`, `strawberry_inputs` and `strawberry_types` hold all that is known of
strawberry. docs/adr/0005-compiled-execution.md says why it is built so and how it is proved.
"""

from gateway.compiled.keeping import KEPT_PLANS, Plans
from gateway.compiled.plans import Plan, make_plan

__all__ = ["KEPT_PLANS", "Plan", "Plans", "make_plan"]
