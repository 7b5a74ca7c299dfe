"""The desk for what is sent: messages, deliveries, providers, opt-outs, facts."""

from messaging.admin import providers, sending

__all__ = ["providers", "sending"]
