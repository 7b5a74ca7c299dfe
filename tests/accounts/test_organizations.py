"""Provisioning, keys, brand and profile."""

import io
import json

import pytest
from cryptography.fernet import Fernet
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from accounts.models import App, Organization, User
from accounts.services.branding import contrast, palette
from pitch.lib.crypto import WrongKey


def provision(capsys, **options):
    call_command("create_organization", **options)
    return json.loads(capsys.readouterr().out)


def test_create_organization_makes_then_updates_and_adds_secrets(db, capsys):
    made = provision(capsys, slug="initech", name="Initech", partner_id=77, admin_secret="a" * 32)
    assert made["created"] is True
    assert made["appGuid"] == App.objects.get(is_default=True).code
    again = provision(
        capsys, slug="initech", name="Initech AG", partner_id=78, admin_secret="b" * 32, user_secret="c" * 32
    )
    assert (again["created"], again["name"], again["partnerId"]) == (False, "Initech AG", 78)
    provision(capsys, slug="initech", name="Initech AG", partner_id=78, admin_secret="b" * 32)
    organization = Organization.objects.get(slug="initech")
    assert organization.admin_secrets == ["a" * 32, "b" * 32]
    assert organization.user_secrets == ["c" * 32]
    assert "aaaa" not in json.dumps(again)


@pytest.mark.parametrize("slug", ["Up", "-x", "admin", "a b", "x" * 41])
def test_a_bad_slug_is_refused_in_words(db, slug):
    with pytest.raises(CommandError, match=r"\w"):
        call_command("create_organization", slug=slug, name="X", partner_id=5)
    assert not Organization.objects.exists()


@pytest.mark.abuse("A41")
def test_rotated_keys_open_old_rows_and_a_wrong_key_fails_loudly(db, settings, capsys):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.PITCH_ENCRYPTION_KEYS = [old]
    call_command("create_organization", slug="initech", name="Initech", partner_id=77, admin_secret="planted-secret")
    settings.PITCH_ENCRYPTION_KEYS = [new, old]
    call_command("rotate_encryption_keys")
    settings.PITCH_ENCRYPTION_KEYS = [new]
    assert Organization.objects.get(slug="initech").admin_secrets == ["planted-secret"]
    settings.PITCH_ENCRYPTION_KEYS = [old]
    with pytest.raises(WrongKey):
        Organization.objects.get(slug="initech")
    with connection.cursor() as cursor:
        cursor.execute("SELECT admin_secrets, user_secrets FROM accounts_organization")
        assert "planted" not in str(cursor.fetchall())


@given(st.from_regex(r"\A#[0-9a-f]{6}\Z"))
def test_every_brand_colour_gives_readable_mails(color):
    found = palette(color)
    assert contrast(found.accent, found.on_accent) >= 4.5
    assert contrast(found.accent_text, "#ffffff") >= 4.5
    assert contrast(found.accent_edge, "#ffffff") >= 3


def test_brand_sheet_has_one_rule_and_can_be_cached(client, acme):
    acme.brand_color = "#aa3355"
    acme.save()
    answer = client.get(f"/brand/{acme.code}.css")
    assert answer.content.decode().strip() == ":root { --brand: #aa3355; }"
    assert client.get(f"/brand/{acme.code}.css", headers={"if-none-match": answer["ETag"]}).status_code == 304
    assert client.get("/brand/nosuchcode.css").status_code == 404
    assert client.get(f"/brand/{acme.code}/logo").status_code == 404


def picture(kind="PNG", size=(900, 600), **options):
    buffer = io.BytesIO()
    Image.new("RGB", size, "teal").save(buffer, kind, **options)
    return buffer.getvalue()


class TestProfile:
    def save(self, client, **fields):
        return client.post("/profile/", {"name": "Alice Adams", "title": "Engineer", "phone": "+1 5", **fields})

    def test_what_recipients_see_is_saved(self, signed_in, alice):
        client = signed_in(alice)
        exif = Image.Exif()
        exif[0x8825] = {1: "N", 2: (52.0, 30.0, 0.0)}
        upload = SimpleUploadedFile("../../etc/pass\u202egpj.jpg", picture("JPEG", exif=exif), "image/jpeg")
        assert self.save(client, photo=upload).status_code == 302
        alice.refresh_from_db()
        assert (alice.name, alice.title) == ("Alice Adams", "Engineer")
        assert alice.photo.name.startswith("photos/")
        assert "pass" not in alice.photo.name
        answer = client.get(f"/people/{alice.code}/photo")
        assert (answer["Content-Type"], answer["X-Content-Type-Options"]) == ("image/png", "nosniff")
        with Image.open(io.BytesIO(answer.content)) as served:
            assert max(served.size) <= 512
            assert not served.getexif()
        assert self.save(client, remove_photo="on").status_code == 302
        assert client.get(f"/people/{alice.code}/photo").status_code == 404

    @pytest.mark.parametrize(
        "content",
        [b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", b"GIF89a" + b"\0" * 40, b"", picture()[:200]],
    )
    @pytest.mark.abuse("A22")
    def test_what_is_no_picture_is_refused_in_words(self, signed_in, alice, content):
        answer = self.save(signed_in(alice), photo=SimpleUploadedFile("x.png", content, "image/png"))
        assert answer.status_code == 200
        alice.refresh_from_db()
        assert not alice.photo

    @pytest.mark.abuse("A22")
    def test_a_picture_that_would_unfold_is_refused(self, signed_in, alice):
        bomb = io.BytesIO()
        Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
        answer = self.save(signed_in(alice), photo=SimpleUploadedFile("x.png", bomb.getvalue(), "image/png"))
        assert "megapixels" in answer.content.decode()

    def test_a_role_cannot_be_given_to_oneself(self, signed_in, alice):
        self.save(signed_in(alice), role="administrator", is_superuser="on", organization="1")
        alice.refresh_from_db()
        assert alice.role == User.Role.MEMBER
