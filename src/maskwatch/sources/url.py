"""Addresses: which strings are one, how to show them without secrets, how to name files."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

SCHEMES = ("http", "https", "rtsp", "rtsps")
"""The kinds of address that can be read."""

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_USER_INFO = re.compile(r"^([^:]+://)([^:@/?#]*):(.*)@")
_SECRET_QUERY = re.compile(
    r"([?&;][^=&;]*(?:pass|pwd|psw|secret|token|key|auth|sig)[^=&;]*=)[^&;#]*", re.IGNORECASE
)
_PORT = re.compile(r"\d{1,5}[/?]")


def scheme_of(spec: str) -> str | None:
    """Lower-case scheme of an address, or None where `spec` is not one."""
    match = _URL.match(spec)
    return match.group()[:-3].lower() if match else None


def mask_url(url: str) -> str:
    """The address without what must not be shown.

    The password of `user:password@host` becomes `***`, and so does the value of any query
    parameter whose name speaks of a password, key or token.
    """
    match = _USER_INFO.match(url)
    # In rtsp://host:554/@lobby it is the port that follows the colon.
    if match and not _PORT.match(match.group(3)):
        url = f"{match.group(1)}{match.group(2)}:***@{url[match.end() :]}"
    return _SECRET_QUERY.sub(r"\1***", url)


def safe_name(url: str) -> str:
    """A file name made of an address: host, path and harmless parameters, no user or secret."""
    parts = urlsplit(mask_url(url))
    host = parts.netloc.rpartition("@")[2]
    text = f"{host}{parts.path}?{parts.query}".replace("***", "")
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.")[:100] or "stream"


def suffix_of(url: str) -> str:
    """Lower-case file name ending of the address's path, with its dot, or an empty string."""
    last = urlsplit(url).path.rpartition("/")[2]
    dot = last.rpartition(".")
    return f".{dot[2].lower()}" if dot[1] else ""
