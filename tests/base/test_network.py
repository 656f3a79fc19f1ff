"""Proxies and certificates of the environment: one sentence that names the variable."""

import httpx
import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.base.network import check_connections, hidden
from duomem_jax.models.locate import model_path
from duomem_jax.speak.served.http import Client
from duomem_jax.speak.served.server import Server

NAMES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in (*NAMES, *map(str.lower, NAMES), "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


BAD = [
    ("ALL_PROXY", "socks5://127.0.0.1:1080", r"ALL_PROXY is .*SOCKS.*httpx\[socks\]"),
    ("all_proxy", "socks5h://me:s3cr3t@there:1080", r"all_proxy is 'socks5h://\*\*\*@there"),
    ("ALL_PROXY", "socks://127.0.0.1:1080/", "ALL_PROXY is .*no address such as"),
    ("HTTPS_PROXY", "http://me:s3cr3t@there:port", r"HTTPS_PROXY is 'http://\*\*\*@there:port'"),
    ("http_proxy", "ftp://there:21", "http_proxy is "),
    ("NO_PROXY", "localhost,::1/128", "NO_PROXY is .*an entry cannot be read"),
    ("SSL_CERT_FILE", "/nowhere.pem", "SSL_CERT_FILE is '/nowhere.pem'.*No such file"),
    ("SSL_CERT_DIR", "/nowhere", "SSL_CERT_DIR is '/nowhere', which is no folder"),
]


@pytest.mark.parametrize(("name", "value", "says"), BAD, ids=[f"{n}={v}" for n, v, _ in BAD])
@pytest.mark.parametrize(
    "connect", [check_connections, lambda: Client(Server("http://127.0.0.1:9/v1"))]
)
def test_what_no_connection_can_be_made_with_is_named(monkeypatch, name, value, says, connect):
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=says) as e:
        connect()
    assert "s3cr3t" not in str(e.value)
    assert "\n" not in str(e.value)


def test_a_file_of_no_certificates_is_named(monkeypatch, tmp_path):
    (tmp_path / "c.pem").write_text("none")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "c.pem"))
    with pytest.raises(UserError, match=r"SSL_CERT_FILE is .*c\.pem"):
        check_connections()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_PROXY", "there:3128"),
        ("HTTPS_PROXY", "http://me:pw@there:3128"),
        ("NO_PROXY", "localhost,.example.com,::1,10.0.0.0/8,*.local"),
        ("SSL_CERT_DIR", "/nowhere:/tmp"),
    ],
)
def test_what_works_is_let_through(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    check_connections()
    httpx.Client().close()


def test_a_hub_id_has_the_same_sentence(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(UserError, match=r"ALL_PROXY is 'socks://127\.0\.0\.1:1'"):
        model_path("somebody/some-model")


def test_a_token_that_no_header_holds_is_a_sentence(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_“secret”")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(UserError, match="HF_TOKEN holds") as e:
        model_path("somebody/some-model")
    assert "secret" not in str(e.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [("http://a:b@c/d", "http://***@c/d"), ("a:b/@@c", "***@c"), ("http://c/d", "http://c/d")],
)
def test_passwords_are_hidden(address, shown):
    assert hidden(address) == shown
