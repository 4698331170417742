"""What codes are for: shared by whoever asks for one and by forms that need one."""

from core.messaging import PURPOSE_NAMES, VerificationPurpose
from gateway.schema.enums import publish

__all__ = ["VerificationPurpose"]

publish(VerificationPurpose, "验证码用途 · What a code is for.", PURPOSE_NAMES)
