"""Applications (申办 and 补卡): the open application, its form, draft and prefilled values."""

from core.applications import application_forms, applications, drafts, prefills
from core.applications.application_forms import SPECS, FieldSpec, FieldType, FilledForm, schema_name
from core.applications.applications import (
    Application,
    ApplicationKind,
    application_columns,
    applications_table,
)
from core.applications.draft_values import DraftValues, ValueSource, draft_values
from core.applications.drafts import RETENTION, application_drafts_table
from core.applications.prefills import prefills_table

__all__ = [
    "RETENTION",
    "SPECS",
    "Application",
    "ApplicationKind",
    "DraftValues",
    "FieldSpec",
    "FieldType",
    "FilledForm",
    "ValueSource",
    "application_columns",
    "application_drafts_table",
    "application_forms",
    "applications",
    "applications_table",
    "draft_values",
    "drafts",
    "prefills",
    "prefills_table",
    "schema_name",
]
