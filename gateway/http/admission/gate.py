"""What every operation passes before it runs, over whichever transport it comes.

Which document is it, may it run, what does it cost, and is that within the budgets: without
a request, a response or a connection, so that every way in shares it.
"""

from dataclasses import dataclass

from graphql import GraphQLSchema

from gateway.http.admission.budgets import Budgets, RateLimitStatus
from gateway.http.admission.documents import Documents
from gateway.http.admission.limits import Operation, Prepared, PreparedDocuments
from gateway.http.admission.parameters import Parameters


@dataclass(frozen=True, slots=True)
class AdmittedOperation:
    """`operation` is None where the document has errors."""

    text: str
    prepared: Prepared
    operation: Operation | None
    standing: RateLimitStatus


@dataclass(slots=True)
class Gate:
    schema: GraphQLSchema
    documents: Documents
    prepared: PreparedDocuments
    budgets: Budgets

    def admit(
        self, asked: Parameters, address: str, token: str | None, *, exempt: bool = False
    ) -> AdmittedOperation:
        """Raises `BadRequest` for what may not run; errors of the document are in the result."""
        text = self.documents.text_of(asked, exempt=exempt)
        prepared, reading_cost = self.prepared.prepare(self.schema, text)
        operation = None if prepared.errors else prepared.operation(asked.operation_name)
        points = reading_cost + (operation.cost if operation else 1)
        standing = self.budgets.charge(address, token, points)
        return AdmittedOperation(text, prepared, operation, standing)
