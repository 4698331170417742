"""Admission of an operation, the same for HTTP, SSE, WebSocket and the fast path.

Looks up the document, checks whether it may be executed, and charges its cost to the budgets.
"""

from dataclasses import dataclass

from graphql import GraphQLSchema

from gateway.http.admission.budgets import Budgets, RateLimitStatus
from gateway.http.admission.documents import Documents
from gateway.http.admission.limits import Operation, Prepared, PreparedDocuments
from gateway.http.admission.parameters import Parameters


@dataclass(frozen=True, slots=True)
class AdmittedOperation:
    """`operation` is None if the document has errors."""

    text: str
    prepared: Prepared
    operation: Operation | None
    rate_limit: RateLimitStatus


@dataclass(slots=True)
class Admission:
    schema: GraphQLSchema
    documents: Documents
    prepared: PreparedDocuments
    budgets: Budgets

    def admit(
        self, parameters: Parameters, address: str, token: str | None, *, exempt: bool = False
    ) -> AdmittedOperation:
        """Raises `BadRequest` if it is not admitted; errors of the document are in the result."""
        text = self.documents.text_of(parameters, exempt=exempt)
        prepared, reading_cost = self.prepared.prepare(self.schema, text)
        operation = None if prepared.errors else prepared.operation(parameters.operation_name)
        points = reading_cost + (operation.cost if operation else 1)
        rate_limit = self.budgets.charge(address, token, points)
        return AdmittedOperation(text, prepared, operation, rate_limit)
