"""The cast and the house rules of the tests.

alice owns what the tests are about, bob is a colleague, erin an editor, ada the administrator, charlie a stranger in
another organization, root an operator.
"""

import os
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache

from accounts.models import Organization, User
from tests.browser import CHROMIUM

PASSWORD = "correct horse battery"


def pytest_collection_modifyitems(config, items):
    """Browser tests need Chromium: in CI a missing one is a failure, elsewhere it is said loudly."""
    if CHROMIUM:
        return
    browser = [item for item in items if item.get_closest_marker("browser")]
    if browser and os.environ.get("CI") == "true":
        pytest.exit("Chromium is missing and CI=true: install the package chromium.", returncode=2)
    for item in browser:
        item.add_marker(pytest.mark.skip(reason="Chromium is not installed (apt-get install chromium)"))


def pytest_terminal_summary(terminalreporter):
    """Say which tests did not run for want of a browser."""
    skipped = [r for r in terminalreporter.stats.get("skipped", []) if "Chromium is not installed" in str(r.longrepr)]
    if skipped:
        terminalreporter.section("NOT RUN: no Chromium", sep="!")
        for report in skipped:
            terminalreporter.line(f"  {report.nodeid}")


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    """Each test writes below its own folder and starts with an empty cache."""
    settings.PITCH_DATA = tmp_path
    settings.MEDIA_ROOT = tmp_path / "media"
    Path(settings.MEDIA_ROOT).mkdir()
    cache.clear()


@pytest.fixture
def acme(db) -> Organization:
    """The organization most tests happen in."""
    return Organization.objects.create(slug="acme", name="Acme", partner_id=4242)


@pytest.fixture
def globex(db) -> Organization:
    """Another tenant."""
    return Organization.objects.create(slug="globex", name="Globex", partner_id=5151)


def make_user(organization, name, role=User.Role.MEMBER, **fields) -> User:
    """Make a user of `organization` whose address is <name>@<slug>.test and whose password is PASSWORD."""
    return User.objects.create_user(
        f"{name}@{organization.slug}.test", PASSWORD, organization=organization, name=name.title(), role=role, **fields
    )


@pytest.fixture
def alice(acme) -> User:
    return make_user(acme, "alice")


@pytest.fixture
def bob(acme) -> User:
    return make_user(acme, "bob")


@pytest.fixture
def erin(acme) -> User:
    return make_user(acme, "erin", User.Role.EDITOR)


@pytest.fixture
def ada(acme) -> User:
    return make_user(acme, "ada", User.Role.ADMINISTRATOR)


@pytest.fixture
def charlie(globex) -> User:
    return make_user(globex, "charlie")


@pytest.fixture
def root(db) -> User:
    return User.objects.create_superuser("root@pitch.test", PASSWORD, name="Root")


@pytest.fixture
def signed_in(client):
    """Return a function that signs a user in and returns the client."""

    def sign_in(user):
        client.force_login(user, backend=django_settings.AUTHENTICATION_BACKENDS[0])
        return client

    return sign_in
