"""Admission: parses a request, looks up its document, measures its complexity, charges its budget."""

from gateway.http.admission import parameters
from gateway.http.admission.admission import Admission, AdmittedOperation
from gateway.http.admission.bounded_cache import BoundedCache
from gateway.http.admission.budgets import Budgets, RateLimitStatus, network
from gateway.http.admission.documents import Documents, read_manifest, sha256
from gateway.http.admission.parameters import Parameters
from gateway.http.admission.prepared import (
    LimitDocuments,
    Prepared,
    PreparedDocuments,
    admitted_document,
    limit_tokens,
)
from gateway.http.admission.sharing import share_budgets
from gateway.http.admission.variables import variables_cost

__all__ = [
    "Admission",
    "AdmittedOperation",
    "BoundedCache",
    "Budgets",
    "Documents",
    "LimitDocuments",
    "Parameters",
    "Prepared",
    "PreparedDocuments",
    "RateLimitStatus",
    "admitted_document",
    "limit_tokens",
    "network",
    "parameters",
    "read_manifest",
    "sha256",
    "share_budgets",
    "variables_cost",
]
