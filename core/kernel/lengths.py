"""Maximum lengths in characters, shared by input validation and database columns.

A longer value is rejected or truncated on input and never reaches the database. Columns for
values from outside declare their length with a constant from here; columns for enums are wide
enough for every member. `tests/architecture/test_lengths.py` verifies both.
"""

CHANNEL_ID = 16
PARTNER_CODE = 40
"""A partner's rejection code; also stored in the audit log."""
REFERENCE_CODE = 32
"""Code of a bank or a pickup outlet."""
BATCH_NUMBER = 64
ISSUER_TEXT = 64
"""An event's id or number from the card issuer."""
NODE_REASON = 200
CORRECTIONS = 120
"""What is to be corrected: names of form fields, separated by commas."""
EFFECT_KEY = 64
"""The idempotency key of an outbox message, sent to partners."""
FAILURE = 200
PLATFORM_TEXT = 64
"""A platform's message id and delivery status."""
NOTICE_VERSION = 32
REGION_CODE = 6
REGION_NAME = 60
DAY = 10
"""`YYYY-MM-DD`."""
