"""A draft remembers which save of which page it holds, so that a page whose answer was lost finds its own save again."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0003_pumps")]

    operations = [
        migrations.AddField("message", "draft_save_id", models.CharField(blank=True, default="", max_length=44)),
    ]
