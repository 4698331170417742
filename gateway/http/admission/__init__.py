"""Admission: parses a request, looks up its document, measures its complexity, charges its budget."""

from gateway.http.admission import parameters
from gateway.http.admission.admission import Admission, AdmittedOperation
from gateway.http.admission.budgets import Budgets, RateLimitStatus, network
from gateway.http.admission.documents import Documents, read_manifest, sha256
from gateway.http.admission.limits import LimitDocuments, PreparedDocuments, limit_tokens
from gateway.http.admission.parameters import Parameters
from gateway.http.admission.sharing import share_budgets

__all__ = [
    "Admission",
    "AdmittedOperation",
    "Budgets",
    "Documents",
    "LimitDocuments",
    "Parameters",
    "PreparedDocuments",
    "RateLimitStatus",
    "limit_tokens",
    "network",
    "parameters",
    "read_manifest",
    "sha256",
    "share_budgets",
]
