"""Admission: parses a request, looks up its document, measures its complexity, charges its budget."""

from gateway.http.admission import parameters
from gateway.http.admission.budgets import Budgets, Standing
from gateway.http.admission.documents import Documents, read_manifest, sha256
from gateway.http.admission.gate import Admitted, Gate
from gateway.http.admission.limits import LimitDocuments, PreparedDocuments, limit_tokens
from gateway.http.admission.parameters import Parameters
from gateway.http.admission.shared_budgets import SharedBudgets

__all__ = [
    "Admitted",
    "Budgets",
    "Documents",
    "Gate",
    "LimitDocuments",
    "Parameters",
    "PreparedDocuments",
    "SharedBudgets",
    "Standing",
    "limit_tokens",
    "parameters",
    "read_manifest",
    "sha256",
]
