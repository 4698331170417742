"""Admission: parses a request, looks up its document, measures its complexity, charges its budget."""

from gateway.http.admission import parameters
from gateway.http.admission.budgets import Budgets, RateLimitStatus
from gateway.http.admission.documents import Documents, read_manifest, sha256
from gateway.http.admission.gate import AdmittedOperation, Gate
from gateway.http.admission.limits import LimitDocuments, PreparedDocuments, limit_tokens
from gateway.http.admission.parameters import Parameters
from gateway.http.admission.shared_budgets import SharedBudgets

__all__ = [
    "AdmittedOperation",
    "Budgets",
    "Documents",
    "Gate",
    "LimitDocuments",
    "Parameters",
    "PreparedDocuments",
    "RateLimitStatus",
    "SharedBudgets",
    "limit_tokens",
    "parameters",
    "read_manifest",
    "sha256",
]
