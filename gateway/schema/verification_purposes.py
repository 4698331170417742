"""The purposes of verification codes."""

from core.messaging import PURPOSE_NAMES, VerificationPurpose
from gateway.schema.enums import publish

__all__ = ["VerificationPurpose"]

publish(VerificationPurpose, "验证码用途 · What a code is for.", PURPOSE_NAMES)
