"""The tables of what a mail or page looks like."""

from templates_app.models.email_templates import EmailTemplate, EmailTemplateVersion
from templates_app.models.signatures import Signature

__all__ = ["EmailTemplate", "EmailTemplateVersion", "Signature"]
