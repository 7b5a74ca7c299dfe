"""Every encrypted column of every model: closed at rest, never shown, exported, logged, mailed or searched (A34, A41).

The columns are found in the registry of models. A new one fails these tests until somebody says how to make a row with it;
FORM_FIELDS says which field of the admin's form takes the secret.
"""

import logging

import pytest
from django.apps import apps
from django.contrib import admin
from django.core import mail
from django.core.management import call_command
from django.core.serializers.base import DeserializationError
from django.db import connection
from django.db.models.signals import pre_save
from django.urls import reverse

from accounts.models import Organization
from messaging.models import EmailProvider, Message
from pitch.lib import crypto
from pitch.lib.fields import ENCRYPTED_FIELDS, EncryptedJSONField

PLANTED = "planted-canary-7f3a"
TYPED = "typed-canary-9c1e"
COLUMNS = [
    field
    for model in apps.get_models()
    for field in model._meta.local_fields
    if isinstance(field, ENCRYPTED_FIELDS)
]  # fmt: skip
# How to make a row (not saved yet), and the form field of the admin that takes the secret.
ROWS = {
    Organization: lambda alice: alice.organization,
    EmailProvider: lambda alice: EmailProvider(organization=alice.organization, name="R", host="smtp.relay.example", user="u"),
    Message: lambda alice: Message(organization=alice.organization, sender=alice, subject="Hello"),
}  # fmt: skip
FORM_FIELDS = {
    "accounts.Organization.admin_secrets": "new_admin_secret",
    "accounts.Organization.user_secrets": "new_user_secret",
    "messaging.EmailProvider.password": "password",
}
every_column = pytest.mark.parametrize("column", COLUMNS, ids=str)
changeable = pytest.mark.parametrize("column", [c for c in COLUMNS if str(c) in FORM_FIELDS], ids=str)
pytestmark = [pytest.mark.abuse("A34", "A41")]


def plant(column, alice):
    """Save a row whose secret is PLANTED; returns the row."""
    row = ROWS[column.model](alice)
    setattr(row, column.name, [PLANTED] if isinstance(column, EncryptedJSONField) else PLANTED)
    row.save()
    return row


def stored(column, row):
    """Return what the database itself holds."""
    name = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {name(column.column)} FROM {name(column.model._meta.db_table)} WHERE id = %s", [row.pk])
        return cursor.fetchone()[0]


def everything_stored():
    """Return all cells of all tables, as text."""
    cells = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            cells += [str(cell) for line in cursor.fetchall() for cell in line]
    return "\n".join(cells)


def page_of(column, page, *args):
    """Return the address of a page of the admin."""
    return reverse(f"admin:{column.model._meta.app_label}_{column.model._meta.model_name}_{page}", args=args)


def form_of(client, column, row, **changes):
    """Return what a browser would post from the row's page, with some fields changed."""
    context = client.get(page_of(column, "change", row.pk)).context
    form = context["adminform"].form
    values = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    for inline in context["inline_admin_formsets"]:
        managing = inline.formset.management_form
        values |= {managing.add_prefix(name): managing.initial[name] for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    return {
        name: value
        for name, value in {**values, **changes}.items()
        if value is not None and value is not False and value != ""
    }


def test_every_column_is_known():
    assert len(COLUMNS) >= 4
    assert {column.model for column in COLUMNS} == set(ROWS)
    for column in COLUMNS:
        desk = admin.site._registry.get(column.model)
        if desk is not None and desk.allows_change:
            assert str(column) in FORM_FIELDS, column


@every_column
def test_the_database_holds_a_token_that_only_our_key_opens(alice, column):
    row = plant(column, alice)
    token = stored(column, row)
    assert PLANTED in crypto.decrypt(token)
    assert PLANTED not in everything_stored()
    assert PLANTED in str(getattr(column.model.objects.get(pk=row.pk), column.name))
    assert PLANTED not in repr(row) + str(row)


@every_column
@pytest.mark.parametrize("who", ["root", "ada"])
def test_no_page_of_the_admin_shows_or_finds_it(signed_in, request, alice, column, who):
    row = plant(column, alice)
    client = signed_in(request.getfixturevalue(who))
    pages = [
        page_of(column, "changelist"),
        *(page_of(column, page, row.pk) for page in ("change", "history", "delete")),
    ]
    seen = 0
    for page in pages:
        answer = client.get(page)
        seen += answer.status_code == 200
        assert PLANTED not in answer.content.decode(), page
        assert stored(column, row) not in answer.content.decode(), page
    assert seen >= 3
    for model, model_admin in admin.site._registry.items():
        ways = [""] if model is column.model else []
        ways += [f"{f.name}__" for f in model._meta.fields if f.related_model is column.model]
        for way in ways:
            assert not [name for name in model_admin.search_fields if f"{way}{column.name}" in name]
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
            for lookup in ("startswith", "contains", "exact", "isnull"):
                answer = client.get(reverse(name), {f"{way}{column.name}__{lookup}": "p"})
                assert answer.status_code == 400, f"{model.__name__}?{way}{column.name}__{lookup}"


@every_column
def test_an_export_holds_a_token_that_only_our_key_opens(alice, column, tmp_path, settings):
    row = plant(column, alice)
    file = tmp_path / "export.json"
    call_command("dumpdata", column.model._meta.label, output=str(file))
    assert PLANTED not in file.read_text()
    column.model.objects.filter(pk=row.pk).update(**{column.name: column.get_default()})
    call_command("loaddata", str(file), verbosity=0)
    assert PLANTED in str(getattr(column.model.objects.get(pk=row.pk), column.name))
    settings.PITCH_ENCRYPTION_KEYS = [crypto.new_key()]
    with pytest.raises(DeserializationError):
        call_command("loaddata", str(file), verbosity=0)


def test_what_somebody_types_is_never_opened(signed_in, ada, alice):
    """Else whoever has read the database could have the form open a token for him."""
    row = plant(EmailProvider._meta.get_field("password"), alice)
    column = EmailProvider._meta.get_field("password")
    token = f"encrypted:{stored(column, row)}"
    client = signed_in(ada)
    form = form_of(client, column, row, password=token)
    assert client.post(page_of(column, "change", row.pk), form).status_code == 302
    assert EmailProvider.objects.get().password == token


@changeable
@pytest.mark.parametrize("who", ["root", "ada"])
def test_it_is_write_only(signed_in, request, alice, column, who, caplog):
    caplog.set_level(logging.DEBUG)
    row = plant(column, alice)
    client, address = signed_in(request.getfixturevalue(who)), page_of(column, "change", row.pk)
    before = stored(column, row)
    assert client.post(address, form_of(client, column, row, name="Renamed")).status_code == 302
    row = column.model.objects.get(pk=row.pk)
    assert row.name == "Renamed"
    assert PLANTED in str(getattr(row, column.name)), "left empty, the secret stays"
    assert PLANTED in crypto.decrypt(before)

    typed = {FORM_FIELDS[str(column)]: TYPED}
    refused = client.post(address, form_of(client, column, row, **typed) | {"name": "x" * 200})
    assert refused.status_code == 200, "a name that long is a mistake"
    assert TYPED not in refused.content.decode(), "what was typed is not sent back either"
    answer = client.post(address, form_of(client, column, row, **typed), follow=True)
    assert TYPED not in answer.content.decode()
    row = column.model.objects.get(pk=row.pk)
    assert TYPED in str(getattr(row, column.name)), "the form must have saved it, else this test looks for nothing"

    for secret in (PLANTED, TYPED):
        assert secret not in client.get(page_of(column, "history", row.pk)).content.decode()
        assert secret not in client.get(reverse("admin:accounts_auditentry_changelist")).content.decode()
        assert secret not in everything_stored()
        assert secret not in caplog.text


@changeable
def test_an_error_report_does_not_name_it(signed_in, root, alice, column, settings, caplog):
    row = plant(column, alice)
    settings.ADMINS = [("Operator", "root@pitch.test")]
    client = signed_in(root)
    form = form_of(client, column, row, **{FORM_FIELDS[str(column)]: TYPED})
    client.raise_request_exception = False

    def fail(**kwargs):
        raise RuntimeError("the disk is full")

    pre_save.connect(fail, sender=column.model)
    try:
        assert client.post(page_of(column, "change", row.pk), form).status_code == 500
    finally:
        pre_save.disconnect(fail, sender=column.model)
    reports = "\n".join(sent.body for sent in mail.outbox) + caplog.text
    assert "the disk is full" in reports
    assert TYPED not in reports
    assert PLANTED not in reports
