"""Damage: bytes, JSON values and pickles changed at random, but the same for the same seed."""

import json
import pickletools
import random
from collections.abc import Callable

NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
VALUES = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 2**200, -(2**63), 1.5, -0.0, 1e308),
    *(float("nan"), float("inf"), "", "x", "a" * 300, "\0", "\ud800", "../../x", "F32", "BF16"),
    *([], [0], [[[]]], [2**40, 2**40], [-1], {}, {"a": {}}, {"": None}, [None], ["x"]),
)
"""What a JSON value may become."""

HOSTILE = (
    b"cos\nsystem\n(S'true'\ntR.",
    b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
    b"cbuiltins\neval\n(S'1'\ntR.",
    b"\x80\x02]" + b"(" * 200 + b".",
    b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
    b"\x80\x02\x8a\xff" + b"\xff" * 255 + b".",
    b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\x00\x00x.",
)
"""Pieces of pickles that call something, or ask for much."""


def flip(rng: random.Random, content: bytearray) -> None:
    """Another bit."""
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def replace(rng: random.Random, content: bytearray) -> None:
    """Up to 8 bytes replaced by random ones."""
    start = rng.randrange(len(content))
    for i in range(start, min(len(content), start + rng.randint(1, 8))):
        content[i] = rng.randrange(256)


def number(rng: random.Random, content: bytearray) -> None:
    """An extreme number in 1, 2, 4 or 8 bytes, at the beginning more often than elsewhere."""
    size = rng.choice((1, 2, 4, 8))
    most = max(1, len(content) - size)
    start = rng.randrange(min(most, 64) if rng.random() < 0.5 else most)
    value = rng.choice(NUMBERS) % (1 << (8 * size))
    content[start : start + size] = value.to_bytes(size, rng.choice(("little", "big")))


def cut(rng: random.Random, content: bytearray) -> None:
    """What follows some place, gone."""
    del content[rng.randrange(len(content)) :]


def remove(rng: random.Random, content: bytearray) -> None:
    """Some bytes in the middle, gone."""
    start = rng.randrange(len(content))
    del content[start : start + rng.randint(1, 64)]


def insert(rng: random.Random, content: bytearray) -> None:
    """Some bytes more."""
    start = rng.randrange(len(content) + 1)
    content[start:start] = rng.randbytes(rng.randint(1, 32))


def repeat(rng: random.Random, content: bytearray) -> None:
    """A piece once more, at another place."""
    start = rng.randrange(len(content))
    piece = content[start : start + rng.randint(1, 128)]
    place = rng.randrange(len(content) + 1)
    content[place:place] = piece


def exchange(rng: random.Random, content: bytearray) -> None:
    """Two pieces in each other's place."""
    size = rng.randint(1, 32)
    i, j = (rng.randrange(max(1, len(content) - size)) for _ in range(2))
    content[i : i + size], content[j : j + size] = content[j : j + size], content[i : i + size]


def clear(rng: random.Random, content: bytearray) -> None:
    """A piece of zeros, as of a disk that lost it."""
    start = rng.randrange(len(content))
    end = min(len(content), start + rng.choice((8, 64, 512)))
    content[start:end] = bytes(end - start)


BYTES: tuple[Callable, ...] = (
    *(flip, replace, number, cut, remove, insert, repeat, exchange, clear),
)


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Content with one to three kinds of damage."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if not changed:
            break
        rng.choice(BYTES)(rng, changed)
    return bytes(changed)


def changed_json(rng: random.Random, value):
    """A JSON value of which one node has become another, is gone, or has another name."""
    value = json.loads(json.dumps(value))
    places = list(_nodes(value))
    if not places:
        return rng.choice(VALUES)
    holder, key = rng.choice(places)
    kind = rng.randrange(4)
    if kind == 0 and isinstance(holder, dict):
        holder[rng.choice(("x", "", "epoch", "__metadata__", "sha256"))] = holder.pop(key)
    elif kind == 1:
        del holder[key]
    elif kind == 2 and isinstance(holder, dict) and len(holder) > 1:
        holder[key] = holder[rng.choice(sorted(holder))]
    else:
        holder[key] = rng.choice(VALUES)
    return value


def _nodes(value):
    """Every (holder, key) of a nested value."""
    pairs: list = list(value.items()) if isinstance(value, dict) else []
    pairs += list(enumerate(value)) if isinstance(value, list) else []
    for key, node in pairs:
        yield value, key
        yield from _nodes(node)


def changed_pickle(rng: random.Random, content: bytes) -> bytes:
    """A pickle with another opcode, one step more or less, or a hostile piece."""
    try:
        starts = [place for _, _, place in pickletools.genops(content)]
    except Exception:  # noqa: BLE001 (not a pickle at all)
        return damaged(rng, content)
    changed, place = bytearray(content), rng.choice(starts)
    kind = rng.randrange(4)
    if kind == 0:
        changed[place] = ord(rng.choice(pickletools.opcodes).code.encode("latin1"))
    elif kind == 1:
        changed[place:place] = rng.choice(pickletools.opcodes).code.encode("latin1")
    elif kind == 2:
        changed[place:place] = rng.choice(HOSTILE)[: rng.choice((-1, None))]
    else:
        end = rng.choice(starts)
        piece = changed[min(place, end) : max(place, end)]
        changed[place:place] = piece[:4096]
    return bytes(changed)
