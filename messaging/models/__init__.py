"""The tables of sending and tracking."""

from messaging.models.deliveries import Delivery
from messaging.models.events import DeliveryEvent
from messaging.models.messages import Message
from messaging.models.providers import EmailProvider, ProviderAssignment
from messaging.models.pumps import ProviderLimit, PumpSlot
from messaging.models.unsubscribes import Suppression, Unsubscribe
from messaging.models.visits import Visit

__all__ = [
    "Delivery",
    "DeliveryEvent",
    "EmailProvider",
    "Message",
    "ProviderAssignment",
    "ProviderLimit",
    "PumpSlot",
    "Suppression",
    "Unsubscribe",
    "Visit",
]
