"""Damage to valid files: to their bytes, to the numbers in their text, and to JSON."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from random import Random
from typing import Any

WORDS = (0, 1, -1, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63)
"""Numbers for fields of a header."""

HEAD = 600
"""Bytes at the beginning of a file in which headers are."""

NUMBERS = (
    *("0", "-1", "1", "7", "65536", "2147483647", "2147483648", "-2147483648", "4294967296"),
    *("9223372036854775807", "9223372036854775808", "1e308", "1e400", "-1e400", "nan", "inf"),
    *("9" * 400, "0." + "3" * 400, "1e-400", "0x10", "", "abc", "1,5", "\u0661"),
)
"""Numbers for those in a text."""

DEEP = 3000
"""Levels of a deep nest."""

TEXTS = ("", "\ud800", "a\0b", "\x1b]0;title\x07", "x" * 5000, "../../etc/passwd", "NaN", "{", "☃")
"""Texts for values in JSON."""

RAW = (
    *("NaN", "Infinity", "-Infinity", "1e400", "9" * 400, "-0", "1e-400", "9" * 5000),
    *("[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP, "[]", "{}", "[[]]", "null"),
    *("true", "false", "2147483648", "-1", "0", "9223372036854775808", "0.5", '"\\ud800"', '"1"'),
)
"""Values in JSON as they are written, which may be none that JSON knows."""


def damaged_bytes(content: bytes, random: Random) -> tuple[bytes, str]:
    """Damage bytes in one to three places; return them, and what was done."""
    done = []
    for _ in range(random.choice((1, 1, 2, 3))):
        if not content:
            break
        content, what = random.choice(_BYTES)(content, random)
        done.append(what)
    return content, ", ".join(done)


def _flip(content: bytes, random: Random) -> tuple[bytes, str]:
    at = random.randrange(len(content))
    changed = content[at] ^ (1 << random.randrange(8))
    return content[:at] + bytes([changed]) + content[at + 1 :], f"a bit of byte {at} flipped"


def _cut(content: bytes, random: Random) -> tuple[bytes, str]:
    end = random.randrange(len(content) + 1)
    return content[:end], f"cut to {end} of {len(content)} bytes"


def _repeat(content: bytes, random: Random) -> tuple[bytes, str]:
    start = random.randrange(len(content))
    end = min(len(content), start + random.choice((1, 8, 100, 4000)))
    times = random.choice((1, 2, 50))
    repeated = content[:end] + content[start:end] * times + content[end:]
    return repeated, f"bytes {start} to {end} repeated"


def _swap(content: bytes, random: Random) -> tuple[bytes, str]:
    start, end = sorted(random.randrange(len(content) + 1) for _ in range(2))
    middle = random.randbytes(min(end - start, 4000))
    return content[:start] + middle + content[start + len(middle) :], f"noise from byte {start}"


def _word(content: bytes, random: Random) -> tuple[bytes, str]:
    size, sign = random.choice(((2, "H"), (4, "I"), (8, "Q")))
    near = min(len(content), HEAD) if random.random() < 0.8 else len(content)
    at = random.randrange(max(1, near // 2)) * 2
    number = random.choice(WORDS) % 2 ** (8 * size)
    order = random.choice("<<>")
    word = struct.pack(order + sign, number)
    return content[:at] + word + content[at + size :], f"the word at byte {at} set to {number}"


def _entry(content: bytes, random: Random) -> tuple[bytes, str]:
    """Change a field of the first directory of a TIFF, if it is one."""
    if content[:4] != b"II*\0":
        return _word(content, random)
    directory = int.from_bytes(content[4:8], "little")
    count = int.from_bytes(content[directory : directory + 2], "little")
    start = directory + 2 + 12 * random.randrange(max(1, count))
    at, size = random.choice(((start, 2), (start + 2, 2), (start + 4, 4), (start + 8, 4)))
    number = random.choice((*WORDS, 2, 3, 4, 5, 8, 16, 50000)) % 2 ** (8 * size)
    tag = int.from_bytes(content[start : start + 2], "little")
    word = number.to_bytes(size, "little")
    return content[:at] + word + content[at + size :], f"tag {tag}: byte {at} set to {number}"


_BYTES: list[Callable[[bytes, Random], tuple[bytes, str]]] = [
    *(_flip, _cut, _repeat, _swap),
    *(_word, _word, _entry, _entry, _entry),
]


def damaged_text(text: str, random: Random) -> tuple[str, str]:
    """Change a number of a text, or repeat, drop or swap its lines."""
    found = list(re.finditer(r"[-+]?\d[\d.eE+-]*", text))
    if found and random.random() < 0.7:
        place, number = random.choice(found), random.choice(NUMBERS)
        return text[: place.start()] + number + text[place.end() :], f"{place[0]} -> {number:.20}"
    lines = text.splitlines(keepends=True)
    at = random.randrange(max(1, len(lines)))
    kind = random.choice(("dropped", "repeated", "moved"))
    if kind == "dropped":
        del lines[at : at + 1]
    elif kind == "repeated":
        lines[at:at] = lines[at : at + 1] * random.choice((1, 1000))
    else:
        random.shuffle(lines)
    return "".join(lines), f"line {at} {kind}"


def damaged_json(document: Any, random: Random) -> tuple[str, str]:
    """Change a value of a document, or a key; return its text, and what was done."""
    document = json.loads(json.dumps(document))
    places = list(_places(document))
    parent, key = random.choice(places)
    kind = random.choice(("raw", "raw", "raw", "text", "dropped", "repeated", "key", "swapped"))
    what = f"{kind} at {key!r}"
    marker = "\0marker\0"
    value: Any = marker
    raw = random.choice(RAW)
    if kind == "text":
        raw = json.dumps(random.choice(TEXTS))
    if kind == "dropped":
        del parent[key]
    elif kind == "repeated" and isinstance(parent, list):
        parent[key:key] = [parent[key]] * random.choice((1, 2000))
    elif kind == "key" and isinstance(parent, dict):
        parent[random.choice(TEXTS)] = parent.pop(key)
    elif kind == "swapped":
        other, name = random.choice(places)
        value = json.loads(json.dumps(other[name]))
        parent[key] = value
    else:
        parent[key] = marker
        what += f" -> {raw:.30}"
    text = json.dumps(document, ensure_ascii=random.random() < 0.5)
    return text.replace(json.dumps(marker), raw), what


def _places(document: Any) -> Any:
    """Yield each container with each of its keys."""
    keys = document.keys() if isinstance(document, dict) else range(len(document))
    for key in keys:
        yield document, key
        if isinstance(document[key], dict | list):
            yield from _places(document[key])


def as_bytes(text: str, random: Random) -> bytes:
    """Encode a text, now and then in another encoding than UTF-8 or with a broken character."""
    if random.random() < 0.9:
        return text.encode("utf-8", "surrogatepass")
    encoded = text.encode(random.choice(("utf-16", "utf-8-sig")), "surrogatepass")
    at = random.randrange(len(encoded) + 1)
    return encoded[:at] + random.choice((b"\xff", b"\xed\xa0\x80", b"\0")) + encoded[at:]
