"""The most characters of a value: one number for whoever lets it in and for its column.

A longer value never reaches the database: it is refused, or shortened, where it comes in. Each
column declares its length with a number from here where the value comes from outside; an enum's
column is simply wide enough. `tests/architecture/test_lengths.py` holds one against the other.
"""

CHANNEL_ID = 16
PARTNER_CODE = 40
"""With which a partner rejects a call; the audit log tells it."""
REFERENCE_CODE = 32
"""Of a bank or a pickup outlet."""
BATCH_NUMBER = 64
ISSUER_TEXT = 64
"""An event's id or number, as the card issuer sends it."""
NODE_REASON = 200
EFFECT_KEY = 64
"""The idempotency key of an effect, as partners take it."""
FAILURE = 200
PLATFORM_TEXT = 64
"""A platform's number of a message, and its word on the delivery."""
NOTICE_VERSION = 32
REGION_CODE = 6
DAY = 10
"""`YYYY-MM-DD`."""
