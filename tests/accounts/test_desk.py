"""The desk: who is let in, by which door, and what its lists and forms give away."""

import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from PIL import Image

from tests.conftest import PASSWORD

LISTS = ("/admin/", "/admin/accounts/user/")


@pytest.mark.parametrize("path", LISTS)
def test_nobody_is_sent_to_the_one_sign_in_and_back(client, ada, path):
    page = client.get(path, follow=True)
    assert page.status_code == 200
    assert page.redirect_chain[-1][0].startswith("/accounts/login/?next=")
    answer = client.post("/accounts/login/", {"login": ada.email, "password": PASSWORD, "next": path})
    assert answer["Location"] == path
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", LISTS)
def test_a_member_finds_nothing_there(signed_in, alice, path):
    assert signed_in(alice).get(path, follow=True).status_code == 404


def test_djangos_own_sign_in_form_takes_no_password(client, ada):
    client.post("/admin/login/", {"username": ada.code, "password": PASSWORD})
    assert client.get("/accounts/whoami").status_code == 401


@pytest.mark.abuse("A34")
def test_a_list_cannot_be_filtered_by_what_it_hides(signed_in, ada, bob):
    client = signed_in(ada)
    assert client.get("/admin/accounts/user/", {"password__startswith": bob.password[:3]}).status_code == 400
    assert client.get("/admin/accounts/organization/", {"admin_secrets__startswith": "g"}).status_code == 400
    assert client.get("/admin/accounts/user/", {"role__exact": "member"}).status_code == 200


def test_administrators_see_no_tables_of_the_libraries(signed_in, ada):
    client = signed_in(ada)
    for path in ("account/emailaddress", "django_q/success", "django_q/failure"):
        assert client.get(f"/admin/{path}/").status_code == 403, path


def test_a_logo_is_put_up_and_taken_down(signed_in, ada, acme):
    client = signed_in(ada)
    buffer = io.BytesIO()
    Image.new("RGB", (50, 50), "teal").save(buffer, "PNG")
    address = reverse("admin:accounts_organization_change", args=[acme.pk])
    fields = {"name": "Acme", "brand_color": "#0e6377"}
    client.post(address, {**fields, "logo": SimpleUploadedFile("x.png", buffer.getvalue(), "image/png")})
    assert client.get(f"/brand/{acme.code}/logo").status_code == 200
    client.post(address, fields)
    assert client.get(f"/brand/{acme.code}/logo").status_code == 200  # nothing chosen keeps it
    client.post(address, {**fields, "remove_logo": "on"})
    assert client.get(f"/brand/{acme.code}/logo").status_code == 404
