"""What the environment says of connections, checked before one is made.

httpx and the hub's client read proxies and certificates from variables, and what they raise at a
bad one names neither the variable nor a remedy.
"""

import contextlib
import importlib.util
import os
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx

from duomem_jax.base.errors import UserError, first_line

_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY")
_KEY = re.compile(r"[!-~]+")


def check_connections() -> None:
    """Try what the environment says of proxies and certificates; nothing is sent.

    Raises:
        UserError: a variable that no connection can be made with.
    """
    with explain_connections():
        httpx.Client().close()


@contextlib.contextmanager
def explain_connections() -> Iterator[None]:
    """Turn what making an `httpx.Client` raises into one sentence.

    Raises:
        UserError: names the variable at fault.
    """
    _check_folder_of_certificates()
    try:
        yield
    # Of a SOCKS proxy, of an address, of certificates.
    except (ImportError, ValueError, httpx.InvalidURL, OSError) as e:
        raise UserError(_fault(e)) from e


def check_key(name: str, key: str) -> None:
    """Refuse a key that no header can hold; it is never shown.

    Args:
        name: of the variable.
        key: its value; "" for none.

    Raises:
        UserError: it has line breaks, spaces or letters beyond ASCII.
    """
    if key and not _KEY.fullmatch(key):
        raise UserError(
            f"{name} holds a space, a line break, or a letter or quote that is not ASCII; set it "
            "to the key alone"
        )


def proxies() -> list[str]:
    """The variables that name a proxy."""
    return [name for name, _ in _proxies()]


def hidden(address: str) -> str:
    """An address without the user and the password in it."""
    return re.sub(r"^(\w+://)?.*@", r"\1***@", address)


def _check_folder_of_certificates() -> None:
    # OpenSSL takes any folder, and then trusts nobody. httpx looks at it only without a file.
    folders = os.environ.get("SSL_CERT_DIR", "")
    if not folders or os.environ.get("SSL_CERT_FILE"):
        return
    if not any(Path(folder).is_dir() for folder in folders.split(os.pathsep)):
        raise UserError(
            f"SSL_CERT_DIR is {folders!r}, which is no folder; give a folder of certificates or "
            "unset it"
        )


def _fault(error: Exception) -> str:
    file = os.environ.get("SSL_CERT_FILE", "")
    if file and isinstance(error, OSError):
        return (
            f"SSL_CERT_FILE is {file!r}, which cannot be read as certificates "
            f"({_said(error)}); give a PEM file or unset it"
        )
    for name, proxy in _proxies():
        if why := _why_not(proxy):
            return f"{name} is {hidden(proxy)!r}: {why}; correct or unset it"
    if (hosts := _variable("NO_PROXY")) and isinstance(error, (ValueError, httpx.InvalidURL)):
        return (
            f"{hosts} is {os.environ[hosts]!r}, of which an entry cannot be read "
            f"({first_line(error)}); give names of hosts with commas between them"
        )
    return (
        f"connections cannot be made here ({first_line(error)}); check the proxy and certificates"
    )


def _said(error: OSError) -> str:
    # An `ssl.SSLError` has a number too, but not one of the system's.
    if isinstance(error, ssl.SSLError) or error.errno is None:
        return first_line(error)
    return os.strerror(error.errno)


def _variable(name: str) -> str:
    """How a variable is spelt here; "" where it is not set."""
    return next((n for n in (name.lower(), name) if os.environ.get(n)), "")


def _proxies() -> Iterator[tuple[str, str]]:
    for name in _PROXIES:
        if spelt := _variable(name):
            yield spelt, os.environ[spelt]


def _why_not(proxy: str) -> str:
    """What is wrong with a proxy's address; "" for nothing."""
    # As httpx reads it.
    address = proxy if "://" in proxy else f"http://{proxy}"
    try:
        scheme = httpx.Proxy(address).url.scheme
    except (ValueError, httpx.InvalidURL):
        return "this is no address such as http://host:3128 or socks5://host:1080"
    if scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        return "a SOCKS proxy needs a package, pip install 'httpx[socks]'"
    return ""
