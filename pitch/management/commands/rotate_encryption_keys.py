"""Bring every stored secret under the first of PITCH_ENCRYPTION_KEYS."""

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from pitch.lib import crypto
from pitch.lib.fields import ENCRYPTED_FIELDS

BATCH = 500


class Command(BaseCommand):
    help = "Re-encrypt every stored secret under the first of PITCH_ENCRYPTION_KEYS; afterwards older keys may go."

    def handle(self, *args: object, **options: object) -> None:
        count = 0
        for model in apps.get_models():
            for field in model._meta.local_fields:
                if isinstance(field, ENCRYPTED_FIELDS):
                    count += self.rotate_column(model._meta.db_table, str(model._meta.pk.column), str(field.column))
        self.stdout.write(f"{count} secrets are now under the first key.")

    def rotate_column(self, table: str, key: str, column: str) -> int:
        """Rotate one column in batches; the stored tokens are read raw, because a field would open them."""
        name = connection.ops.quote_name
        select = f"SELECT {name(key)}, {name(column)} FROM {name(table)} WHERE {name(key)} > %s ORDER BY {name(key)} LIMIT {BATCH}"  # noqa: S608
        update = f"UPDATE {name(table)} SET {name(column)} = %s WHERE {name(key)} = %s AND {name(column)} = %s"  # noqa: S608
        last, count = 0, 0
        while True:
            with connection.cursor() as cursor:
                cursor.execute(select, [last])
                rows = cursor.fetchall()
            if not rows:
                return count
            try:
                changes = [(crypto.rotate(token), pk, token) for pk, token in rows if token]
            except crypto.WrongKey as err:
                raise CommandError(f"{table}.{column}: {err}") from err
            # A row changed meanwhile keeps its new value: the old token is part of the condition.
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.executemany(update, changes)
            last, count = rows[-1][0], count + len(changes)
