"""The client knows of S3 without the library's having looked for all services."""

from __future__ import annotations

import json
from pathlib import Path

import botocore.session
import pytest

from taskrunner.data.objects.s3_client import create_client
from taskrunner.data.settings import DataSettings


@pytest.fixture(autouse=True)
def _no_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example-secret-key")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))


def client_of_its_session() -> tuple[object, botocore.session.Session]:
    made = botocore.session.get_session()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "get_session", lambda: made)
        return create_client(DataSettings(region="eu-west-1")), made


def test_the_folders_of_all_services_are_not_looked_into() -> None:
    client, session = client_of_its_session()
    loader = session.get_component("data_loader")
    assert client is not None
    assert "list_available_services" not in {key[0] for key in vars(loader)["_cache"]}


def test_credentials_may_take_other_services() -> None:
    _, session = client_of_its_session()
    assert session.create_client("sts", region_name="eu-west-1").meta.service_model.service_name
    assert "ec2" in session.get_available_services()


def test_models_of_the_users_own_come_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "models"
    (own / "s3" / "2006-03-01").mkdir(parents=True)
    built_in = botocore.session.get_session().get_component("data_loader")
    model = built_in.load_service_model("s3", "service-2", "2006-03-01")
    model["metadata"]["serviceFullName"] = "Acme's S3"
    (own / "s3" / "2006-03-01" / "service-2.json").write_text(json.dumps(model))
    monkeypatch.setenv("AWS_DATA_PATH", "~/models")
    client = create_client(DataSettings(region="eu-west-1"))
    assert client.meta.service_model.metadata["serviceFullName"] == "Acme's S3"
