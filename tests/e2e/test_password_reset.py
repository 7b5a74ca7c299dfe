"""A forgotten password against running processes: asked of the web server, mailed by the worker."""

import re

from tests.e2e.running import Session, wait_until


def test_the_worker_mails_the_link(pitch):
    nobody = Session(pitch.url)
    nobody.get(f"{pitch.url}/accounts/password/reset/", timeout=30).raise_for_status()
    nobody.submit("/accounts/password/reset/", email="demo@acme.test")

    def arrived():
        return [mail for mail in pitch.mails() if mail["Subject"] == "Choose a new password for Pitch"]

    (mail,) = wait_until(arrived)
    assert mail["X-Envelope-To"] == "demo@acme.test"
    link = re.search(r"http://\S+/accounts/password/reset/key/\S+", mail.get_body(("plain",)).get_content())[0]
    assert link.startswith(pitch.url)
    assert 'name="password1"' in nobody.get(link, timeout=30).text
    nobody.submit("/mailbox/clear")  # the tests that share this Pitch count the mails
    assert pitch.mails() == []
