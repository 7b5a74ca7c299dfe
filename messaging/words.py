"""What the scripts of the compose page say, translated on the server and handed over with json_script.

Words in braces are filled in by the scripts.
"""

from django.utils.translation import gettext as _


def compose_words() -> dict[str, str]:
    """Return the words of static/js/compose.js and chips.js."""
    return {
        "saving": _("Saving …"),
        "offline": _("Not saved: no connection. It is tried again; leave this page open."),
        "signedOut": _("Not saved: you are signed out. Sign in in another tab, then type on."),
        "count": _("{n} of {limit}"),
        "full": _("At most {limit} addresses fit here; {address} was not added."),
        "duplicate": _("{address} is in the list already."),
        "remove": _("Remove {name}"),
        "suggest": _("Did you mean {address}?"),
        "mend": _("Change it"),
        "keep": _("Keep it"),
        "added": _("{name} added"),
        "removed": _("{name} removed"),
        "failed": _("That did not work: no connection. Try again."),
    }
