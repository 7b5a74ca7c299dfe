"""`./run`: starts web, worker and local mailbox, watches them, and stops all of it."""
