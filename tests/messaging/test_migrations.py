"""Migrations that move data, run on rows as an older version left them."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

BEFORE, AFTER = [("messaging", "0001_initial")], [("messaging", "0002_sender_modes")]


def migrate(target):
    """Migrate to `target`; returns the models as they were then."""
    executor = MigrationExecutor(connection)
    executor.migrate(target)
    return MigrationExecutor(connection).loader.project_state(target).apps


@pytest.mark.django_db(transaction=True)
def test_each_provider_gets_the_mode_it_has_sent_in():
    try:
        old = migrate(BEFORE).get_model("messaging", "EmailProvider")
        for host, switched_on, address, bounces in (
            ("plain", False, "", ""),
            ("address-not-used", False, "pitch@acme.test", "bounces@acme.test"),
            ("switch-without-address", True, "", ""),
            ("service", True, "pitch@acme.test", ""),
        ):
            old.objects.create(
                host=host, code=host[:12], is_default=False, uses_default_sender=switched_on, from_address=address,
                envelope_from=bounces,
            )  # fmt: skip
        new = migrate(AFTER).get_model("messaging", "EmailProvider")
        assert dict(new.objects.values_list("host", "sender_mode")) == {
            "plain": "send-as",
            "address-not-used": "send-as",
            "switch-without-address": "send-as",
            "service": "service",
        }
        old = migrate(BEFORE).get_model("messaging", "EmailProvider")
        assert list(old.objects.filter(uses_default_sender=True).values_list("host", flat=True)) == ["service"]
    finally:
        migrate(MigrationExecutor(connection).loader.graph.leaf_nodes("messaging"))
