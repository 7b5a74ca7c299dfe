"""A provider says in one word whose address people's mails come from; a switch that needs a second column said it before."""

from django.db import migrations, models


def fill(apps, schema_editor):
    """Give each row the mode that sends what it has sent so far: From and MAIL FROM stay what they were."""
    rows = apps.get_model("messaging", "EmailProvider").objects
    rows.update(sender_mode="send-as")
    rows.filter(uses_default_sender=True).exclude(from_address="").update(sender_mode="service")


def empty(apps, schema_editor):
    """Switch on what the old column can say."""
    apps.get_model("messaging", "EmailProvider").objects.filter(sender_mode="service").update(uses_default_sender=True)


class Migration(migrations.Migration):
    dependencies = [("messaging", "0001_initial")]

    operations = [
        migrations.AddField("emailprovider", "sender_mode", models.CharField(max_length=10, null=True)),
        migrations.RunPython(fill, empty),
        migrations.RemoveField("emailprovider", "uses_default_sender"),
        migrations.AlterField(
            "emailprovider",
            "sender_mode",
            models.CharField(
                choices=[
                    ("send-as", "the person (send as)"),
                    ("on-behalf", "the person, sent by the default address (on behalf)"),
                    ("service", "the default address (service)"),
                ],
                default="send-as",
                max_length=10,
                verbose_name="mails come from",
            ),
        ),
        migrations.AddConstraint(
            "emailprovider",
            models.CheckConstraint(
                name="email_provider_sender_mode_has_its_address",
                condition=models.Q(sender_mode="send-as")
                | (models.Q(sender_mode__in=["on-behalf", "service"]) & ~models.Q(from_address="")),
                violation_error_message="This sender mode needs the default sender address.",
            ),
        ),
        # What the two addresses are for is told anew; the columns stay.
        migrations.AlterField(
            "emailprovider",
            "from_address",
            models.EmailField(
                blank=True,
                help_text="Sender of Pitch's own mails. People's mails use it only as the sender mode says; it must then be "
                "allowed to send for others.",
                max_length=254,
                verbose_name="default sender address",
            ),
        ),
        migrations.AlterField(
            "emailprovider",
            "envelope_from",
            models.EmailField(
                blank=True,
                help_text="MAIL FROM of every mail; empty: as the sender mode says.",
                max_length=254,
                verbose_name="address for bounces",
            ),
        ),
    ]
