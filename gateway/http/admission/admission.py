"""Admission of an operation, the same for HTTP, SSE, WebSocket and the fast path.

Looks up the document, checks whether it may be executed, and charges its cost to the budgets.
"""

from dataclasses import dataclass

from graphql import GraphQLSchema

from gateway.http.admission.budgets import Budgets, RateLimitStatus, network
from gateway.http.admission.documents import Documents
from gateway.http.admission.limits import Operation
from gateway.http.admission.parameters import Parameters
from gateway.http.admission.prepared import Prepared, PreparedDocuments, reading_cost
from gateway.http.admission.variables import variables_cost

BODY_BYTES_PER_POINT = 10_000
"""Decoding JSON takes up to ten milliseconds per megabyte."""


@dataclass(frozen=True, slots=True)
class AdmittedOperation:
    """`operation` is None if the document has errors."""

    prepared: Prepared
    operation: Operation | None
    rate_limit: RateLimitStatus


@dataclass(slots=True)
class Admission:
    schema: GraphQLSchema
    documents: Documents
    prepared: PreparedDocuments
    budgets: Budgets

    def charge_body(self, address: str, size: int) -> None:
        """Charges a large body before it is decoded. Raises `BadRequest`."""
        points = size // BODY_BYTES_PER_POINT
        if points:
            self.budgets.charge(address, None, points)

    def admit(
        self, parameters: Parameters, address: str, token: str | None, *, exempt: bool = False
    ) -> AdmittedOperation:
        """Raises `BadRequest` if it is not admitted; errors of the document are in the result.

        What reading costs is charged before anything is read, also if it is then refused.
        """
        text = self.documents.text_of(parameters, exempt=exempt)
        points = variables_cost(parameters)
        owner = network(address)
        prepared = self.prepared.kept(text)
        if prepared is None:
            self.budgets.charge(address, token, reading_cost(text))
            prepared = self.prepared.prepare(self.schema, text)
            self.prepared.keep(prepared, owner)
        operation = None if prepared.errors else prepared.operation(parameters.operation_name)
        if operation is not None:
            points += operation.cost
        rate_limit = self.budgets.charge(address, token, points or 1)
        if operation is not None:
            self.documents.register(parameters, owner)
        return AdmittedOperation(prepared, operation, rate_limit)
