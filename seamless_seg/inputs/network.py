"""Reading without a network: nothing in this process that uses libcurl can connect then.

GDAL has no switch for it. libcurl refuses to connect at all by way of a proxy whose protocol it
does not know, before it resolves a name. GDAL, PROJ and netCDF all use it, in threads of their own,
too: only the environment reaches all of these.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NO_PROXY = "none://none"

BLOCKING = {
    "GDAL_HTTP_PROXY": NO_PROXY,
    "GDAL_HTTPS_PROXY": NO_PROXY,
    "CPL_VSIL_CURL_ALLOWED_FILENAME": "none",
    "GDAL_HTTP_MAX_RETRY": "0",
    "PROJ_NETWORK": "OFF",
    **dict.fromkeys(
        ("http_proxy", "https_proxy", "HTTPS_PROXY", "ftp_proxy", "all_proxy", "ALL_PROXY"),
        NO_PROXY,
    ),
    "no_proxy": "",
    "NO_PROXY": "",
}
"""Environment in which nothing connects; the last two would exempt hosts."""

_REMOTE = re.compile(
    r"""(?ix) (?:^|[:"'/]) (?: (?:https?|ftp|s3|gs|az|adls?|oss|swift|dods|webhdfs|hdfs)://
    | /vsi(?:curl|s3|gs|az|adls|oss|swift|webhdfs|hdfs)(?:_streaming)?[/?] )"""
)
"""Names that lead to other machines."""

_lock = threading.Lock()
_users = 0
_before: dict[str, str | None] = {}


def is_remote(path: Any) -> bool:
    """Whether a name leads to another machine."""
    try:
        return bool(_REMOTE.search(os.fsdecode(path)))
    except TypeError:
        return False


@contextmanager
def without_network() -> Iterator[None]:
    """Let nothing of this process connect by libcurl, in any thread, inside the block."""
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            _before.update({name: os.environ.get(name) for name in BLOCKING})
            os.environ.update(BLOCKING)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                for name, value in _before.items():
                    if value is None:
                        os.environ.pop(name, None)
                    else:
                        os.environ[name] = value
                _before.clear()
