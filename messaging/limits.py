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

# A pump claims so many bulk rows at once, and before each window of so many says which may go out now: what is in doubt when a host
# is lost with its disk is at most one window (design.md §5.2).
BATCH = 100
WINDOW = 10
# How long what was asked of a batch (opt-outs, suppressions) holds, and how often a pump looks for personal mail.
CLAIM_FRESH_SECONDS = 5.0
LOOK_SECONDS = 0.5
# Whoever holds a connection renews that; without news for so long others take over.
SLOT = timedelta(seconds=60)
SLOT_RENEWED_EVERY = 15.0
SLOT_MARGIN = 10.0
# So many mails to a connection, for so long; then a new one (messaging.md (c)).
MAILS_PER_CONNECTION = 100
CONNECTION_SECONDS = 300.0
# Connections one process opens to one provider when there is much to do.
PUMP_THREADS = 8
