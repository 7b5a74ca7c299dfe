"""Organizations with secrets, and a program that calls."""

import json

import pytest

from tests.api.mail_config_world import CONFIG, SAMPLE, session


@pytest.fixture
def acme(acme):
    acme.admin_secrets, acme.user_secrets = ["a" * 32], ["u" * 32]
    acme.save()
    return acme


@pytest.fixture
def globex(globex):
    globex.admin_secrets = ["g" * 32]
    globex.save()
    return globex


@pytest.fixture
def call(client, acme):
    """Return a function that calls the API, by default with an ADMIN session of acme."""
    token = session(acme)

    def post(body=SAMPLE, path=CONFIG, *, bearer=token, content_type="application/json", client=client, **headers):
        given = {"authorization": f"Bearer {bearer}"} if bearer else {}
        data = body if isinstance(body, str | bytes) else json.dumps(body)
        return client.post(path, data, content_type=content_type, headers=given | headers)

    return post
