"""Who may call: those with the token; without one, programs of this machine but no page in its browser."""

from pathlib import Path
from typing import Any

import pytest
from support.serving import serving

from kuaihl.engines.scoring.model import Model
from kuaihl.engines.serving.gate import is_loopback
from kuaihl.engines.serving.settings import ServeSettings, check_settings
from kuaihl.models.errors import UsageError

TOKEN = "0123456789abcdef0123456789abcdef"


def test_with_a_token_nobody_else_calls_but_probes(model: Model, tmp_path: Path) -> None:
    with serving(model, tmp_path, token=TOKEN, pull="rtmp://127.0.0.1/{app}/{stream}") as client:
        assert client.get("/rooms").status == 200
        client.headers = {}
        for path in ("/rooms", "/scores", "/events", "/metrics", "/openapi.json", "/"):
            answer = client.get(path)
            assert answer.status == 401 and answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json["status"] == 401
        assert client.get("/healthz").status == client.get("/readyz").status == 200
        for wrong in ("Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", "Bearer", f"Bearer {TOKEN}é"):
            assert client.get("/rooms", Authorization=wrong.encode().decode("latin-1")).status == 401
        assert client.get(f"/rooms?token={TOKEN}").status == 401  # only a hook cannot send a header
        form = {"Content_Type": "application/x-www-form-urlencoded"}
        for query, status in ((f"?token={TOKEN}", 200), ("?token=wrong", 401), ("", 401)):
            assert client.call("POST", f"/hooks/nginx-rtmp{query}", "call=connect", **form).status == status


def test_without_a_token_no_page_of_a_browser_calls(model: Model, tmp_path: Path) -> None:
    with serving(model, tmp_path) as client:
        here = f"127.0.0.1:{client.port}"
        assert client.get("/rooms", Host=here).status == 200
        assert client.get("/rooms", Host=f"localhost:{client.port}").status == 200
        assert client.get("/rooms", Host=f"evil.example:{client.port}").status == 403  # a name led here
        assert client.get("/rooms", Host=f"localhost@evil.example:{client.port}").status == 403
        assert client.get("/rooms", Origin="https://evil.example").status == 403
        for wrong in ("[", "::1", "[::1"):  # no host, and no URL
            assert client.get("/rooms", Host=wrong).status == 403
            assert client.get("/rooms", Origin=f"http://{wrong}").status == 403
        assert client.call("POST", "/rooms", {}, Origin="null").status == 403
        assert client.get("/rooms", Host=here, Origin=f"http://{here}").status == 200


@pytest.mark.parametrize(
    ("host", "settings", "works"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
        ("localhost", {}, True),
        ("0.0.0.0", {}, False),
        ("192.168.0.4", {}, False),
        ("0.0.0.0", {"token": TOKEN}, True),
    ],
)
def test_an_address_that_others_reach_needs_a_token(
    host: str, settings: dict[str, Any], works: bool, tmp_path: Path
) -> None:
    asked = ServeSettings(output=tmp_path, host=host, **settings)
    if works:
        check_settings(asked)
        return
    assert not is_loopback(host)
    with pytest.raises(UsageError, match="token"):
        check_settings(asked)
