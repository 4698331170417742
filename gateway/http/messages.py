"""What a client is told about its own mistakes: where, and what is wrong, never the value.

graphql-core quotes values in its messages; here they are names, numbers and codes of persons.
"""

import re

from graphql import GraphQLError

_QUOTATIONS = (
    (re.compile(r"(cannot represent [^:]*value): .*", re.DOTALL), r"\1."),
    (re.compile(r", found: .*", re.DOTALL), "."),
    (re.compile(r"Value '.*' does not exist in '(\w+)' enum", re.DOTALL), r"Not in '\1' enum"),
    (re.compile(r"\b(Name|String|BlockString|Int|Float) (['\"]).*\2", re.DOTALL), r"\1"),
    (re.compile(r"(Unknown operation) named .*", re.DOTALL), r"\1."),
)


def without_values(message: str) -> str:
    for quotation, remark in _QUOTATIONS:
        message = quotation.sub(remark, message)
    return message


def silence_values(errors: list[GraphQLError] | None) -> None:
    for error in errors or ():
        error.message = without_values(error.message)
