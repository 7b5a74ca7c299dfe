"""How many, how often, how long."""

from datetime import timedelta

MAX_RECIPIENTS = 20  # R376
MAX_BCC = 20  # R377
MAX_SUBJECT = 255

# messaging.md (c): 1, 5, 15, 60, 180, 360 minutes, each ± 20 %, for at most 24 hours or 12 tries.
RETRY_MINUTES = (1, 5, 15, 60, 180, 360)
MAX_ATTEMPTS = 12
GIVE_UP_AFTER = timedelta(hours=24)

# Longer than a final dot may take (RFC 5321 4.5.3.2.6: 10 minutes), so that a living worker never loses its row.
LEASE = timedelta(minutes=15)
PUMP_SECONDS = 60
