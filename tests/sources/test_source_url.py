from __future__ import annotations

import pytest

from maskwatch.sources.url import mask_url, safe_name, scheme_of, suffix_of


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        pytest.param("rtsp://me:pw@cam/1", "rtsp://me:***@cam/1", id="password"),
        pytest.param("rtsp://me:p@w@cam/1", "rtsp://me:***@cam/1", id="password-with-at"),
        pytest.param("rtsp://me:p/w@cam/1", "rtsp://me:***@cam/1", id="password-with-slash"),
        pytest.param("rtsp://me:p#?:w@cam/1", "rtsp://me:***@cam/1", id="password-with-marks"),
        pytest.param("rtsp://:pw@cam/1", "rtsp://:***@cam/1", id="password-alone"),
        pytest.param("rtsp://me:12@cam/1", "rtsp://me:***@cam/1", id="password-of-digits"),
        pytest.param("rtsp://cam:554/@hall", "rtsp://cam:554/@hall", id="port"),
        pytest.param("rtsp://me@cam/1", "rtsp://me@cam/1", id="user-alone"),
        pytest.param("http://cam/v?a=1", "http://cam/v?a=1", id="nothing-secret"),
        pytest.param(
            "http://cam/v?user=me&PWD=x&c=1", "http://cam/v?user=me&PWD=***&c=1", id="query"
        ),
        pytest.param("http://cam/v?api_key=x", "http://cam/v?api_key=***", id="key"),
    ],
)
def test_mask_url(url: str, shown: str) -> None:
    """Passwords, keys and tokens in an address are never shown."""
    assert mask_url(url) == shown


@pytest.mark.parametrize(
    ("url", "name"),
    [
        pytest.param("rtsp://me:pw@10.0.0.5:554/ch/1", "10.0.0.5-554-ch-1", id="rtsp"),
        pytest.param("rtsp://cam/live?channel=2", "cam-live-channel-2", id="query-tells-apart"),
        pytest.param("http://cam/v?pwd=x", "cam-v-pwd", id="secret"),
        pytest.param("http://[::1]/../..", "1-..-", id="no-way-up"),
    ],
)
def test_safe_name(url: str, name: str) -> None:
    """The name made of an address has host, path and channel, no secret and no separator."""
    made = safe_name(url)
    assert made == name.strip("-.")
    assert "/" not in made


def test_scheme_and_suffix() -> None:
    """Only `scheme://` makes an address, and its ending is that of the path."""
    assert scheme_of("RTSP://cam") == "rtsp"
    assert scheme_of("C:\\photos\\a.jpg") is None
    assert suffix_of("http://host.tv/a/B.MP4?x=1.jpg") == ".mp4"
    assert suffix_of("http://host.tv/stream") == ""
