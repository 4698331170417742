"""The forms of the guide's ten services as data, for front-ends without a table of their own."""

from core.service_forms.apply_card import SAMPLES
from core.service_forms.fields import (
    Argument,
    Button,
    Field,
    OptionsQuery,
    Section,
    ServiceForm,
    Upload,
)
from core.service_forms.forms import SERVICE_FORMS

__all__ = [
    "SAMPLES",
    "SERVICE_FORMS",
    "Argument",
    "Button",
    "Field",
    "OptionsQuery",
    "Section",
    "ServiceForm",
    "Upload",
]
