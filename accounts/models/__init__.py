"""The tables of accounts: who there is, and who may do what."""

from accounts.models.audit import AuditEntry
from accounts.models.organizations import App, Organization, VerifiedDomain
from accounts.models.people import Person, PersonGroup, PersonGroupMember
from accounts.models.users import Invitation, PasswordResetRequest, User

__all__ = [
    "App",
    "AuditEntry",
    "Invitation",
    "Organization",
    "PasswordResetRequest",
    "Person",
    "PersonGroup",
    "PersonGroupMember",
    "User",
    "VerifiedDomain",
]
