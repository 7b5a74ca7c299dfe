"""The delivery drill: an installation of its own, a mail server that misbehaves, and processes killed in the middle."""
