import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.speak.served.server import OPENAI, Server, served_name


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def test_the_address_is_given_or_from_the_environment(monkeypatch):
    assert Server().address == OPENAI
    monkeypatch.setenv("OPENAI_BASE_URL", "http://there:8000/v1/")
    assert Server().address == "http://there:8000/v1"
    assert Server("https://here/v1").address == "https://here/v1"


@pytest.mark.parametrize(
    "url",
    [
        "there:8000",
        "ftp://there",
        "http://",
        "http://me:pw@there/v1",
        "http://there:99999/v1",
        "http://there:port/v1",
        "http://[::1/v1",
        "http://xn--/v1",
    ],
)
def test_other_addresses_are_refused(url):
    with pytest.raises(UserError, match=r"server address .*give one such as"):
        _ = Server(url).address


def test_a_password_in_the_address_is_not_shown():
    with pytest.raises(UserError, match=r"'http://\*\*\*@there/v1'.*goes into OPENAI_API_KEY") as e:
        _ = Server("http://me:s3cr3t/@@there/v1").address
    assert "s3cr3t" not in str(e.value)


@pytest.mark.parametrize("end", ["chat/completions", "embeddings/", "completions"])
def test_the_address_of_one_thing_to_ask_is_refused(end):
    with pytest.raises(UserError, match=f"stands before /{end.rstrip('/')}"):
        _ = Server(f"http://there/v1/{end}").address


@pytest.mark.parametrize("key", ["“sk-x”", "sk-é", "sk-x\nsk-y", "sk x", "\ufeffsk-x", "sk-x\x7f"])
def test_a_key_that_no_header_holds_is_refused_and_not_shown(monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(UserError, match="OPENAI_API_KEY holds a space") as e:
        Server("http://here/v1").key()
    assert "sk" not in str(e.value)


def test_only_openai_itself_needs_a_key(monkeypatch):
    with pytest.raises(UserError, match="OPENAI_API_KEY is not set"):
        Server().key()
    assert Server("http://here/v1").key() == ""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    assert Server().key() == "sk-x"
    assert "sk-x" not in repr(Server())


def test_names_of_served_models():
    assert served_name("openai:Qwen/Qwen2.5-72B-Instruct") == "Qwen/Qwen2.5-72B-Instruct"
    assert served_name("tiny-teacher") == served_name("expert") == ""
    with pytest.raises(UserError, match="name is missing"):
        served_name("openai:")
