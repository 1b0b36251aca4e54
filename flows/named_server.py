"""A Prefect server of the user's, named by `PREFECT_API_URL`: asked before anything starts."""

import http.client
import json
import os
import re
import ssl
import urllib.error
import urllib.request
from typing import Final
from urllib.parse import urlsplit

from flows import environment
from flows.server import ServerError

ANSWER_SECONDS: Final = 4.0
"""How long to wait for an answer of a user's server, at each of at most two attempts."""

MOST_BYTES: Final = 10**6
"""What is read of an answer: one flow is far shorter."""


def check() -> None:
    """Make sure that the server that `PREFECT_API_URL` names, if any, answers as Prefect's does.

    Raises
    ------
    ServerError
        It does not. The message is one line, and names the variable.
    """
    address = os.environ.get("PREFECT_API_URL")
    if address and not _is_open(address):
        check_by_client(address)


def _is_open(address: str) -> bool:
    """Whether a server answers as Prefect's does, without a login and a proxy.

    Prefect's own client, which knows of both, takes seconds to import.

    Raises
    ------
    ServerError
        It is not an address, or nobody answers there.
    """
    _check_form(address)
    if "@" in urlsplit(address).netloc:
        return False
    request = urllib.request.Request(
        f"{address.rstrip('/')}/flows/filter",
        data=json.dumps({"limit": 1}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            return isinstance(json.loads(answer.read(MOST_BYTES)), list)
    except urllib.error.HTTPError:
        return False
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLError) or environment.has_proxies():
            return False
        raise ServerError(_unusable(address, f"nobody answers there ({reason})")) from error
    except ValueError:
        return False


def _check_form(address: str) -> None:
    """Raise ServerError where an address cannot be one of an API."""
    try:
        parts = urlsplit(address)
        is_url = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or address != address.strip():
        raise ServerError(_unusable(address, "that is no address of an API"))


def check_by_client(address: str) -> None:
    """Ask a server through Prefect's client: with the user's login, certificates and proxies.

    Raises
    ------
    ServerError
        It does not answer as Prefect's does.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import temporary_settings

    settings = {"PREFECT_API_URL": address, "PREFECT_CLIENT_MAX_RETRIES": 0}
    try:
        with (
            temporary_settings(settings),
            get_client(sync_client=True, httpx_settings={"timeout": ANSWER_SECONDS}) as client,
        ):
            client.read_flows(limit=1)
    except Exception as error:  # whatever it is, flows would fail with it too
        raise ServerError(_unusable(address, _failure(error))) from error


def _failure(error: Exception) -> str:
    """Return why Prefect's client could not use a server."""
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        if status in (401, 403):
            return (
                f"it asks for a login (HTTP status {status}; PREFECT_API_AUTH_STRING, or "
                "PREFECT_API_KEY for Prefect Cloud, has none that it accepts)"
            )
        return f"no Prefect API answers there (HTTP status {status})"
    if isinstance(error, ImportError):
        return "a SOCKS proxy is set for it, which needs the package socksio (pip install socksio)"
    if isinstance(error, ValueError):
        return "what answers there is no Prefect API"
    reason = (str(error).splitlines() or [""])[0]
    return f"nobody answers there ({reason or type(error).__name__})"


def _unusable(address: str, why: str) -> str:
    """Return the message for a named server that cannot be used; it shows no password."""
    shown = re.sub(r"//[^/@]*@", "//…@", address)
    return (
        f"PREFECT_API_URL={shown}: {why}; expected the API of a running Prefect server, such as "
        "http://127.0.0.1:4200/api; without the variable huzhu starts a server of its own"
    )
