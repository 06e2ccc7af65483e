"""What the watched emulator and Python hand to each other, as `include/watch.h` lays it out.

The records of whole programs are those of `include/runtime_memory.h`, `runtime_launch.h` and
`runtime_program.h`.
"""

import ctypes
from typing import Any


class Part(ctypes.Structure):
    """Who did it."""

    _fields_ = [("block", ctypes.c_uint32), ("thread", ctypes.c_uint32)]
    _fields_ += [
        ("where", ctypes.c_uint64),
        ("store", ctypes.c_uint32),
        ("atomic", ctypes.c_uint32),
    ]


class Event(ctypes.Structure):
    """Something that the watch has noticed."""

    _fields_ = [(name, ctypes.c_uint32) for name in ("kind", "region", "size", "times")]
    _fields_ += [("offset", ctypes.c_int64), ("values", ctypes.c_int64 * 2)]
    _fields_ += [("one", Part), ("other", Part), ("text", ctypes.c_char * 64)]
    _fields_ += [("launch", ctypes.c_uint32)]


class Row(ctypes.Structure):
    """Requests of one place of the code, counted."""

    _fields_ = [("where", ctypes.c_uint64)]
    _fields_ += [(name, ctypes.c_uint32) for name in ("region", "store", "shared", "size")]
    _fields_ += [(name, ctypes.c_uint64) for name in ("requests", "lanes", "moved", "least")]


class Region(ctypes.Structure):
    """Memory that a kernel can reach."""

    _fields_ = [("first", ctypes.c_uint64), ("size", ctypes.c_uint64)]
    _fields_ += [("space", ctypes.c_uint32), ("is_empty", ctypes.c_uint32)]


class Setup(ctypes.Structure):
    """How a launch is watched."""

    _fields_ = [("regions", ctypes.POINTER(Region)), ("count", ctypes.c_uint64)]
    _fields_ += [("seed", ctypes.c_uint64)]
    _fields_ += [(n, ctypes.c_uint32) for n in ("preempt", "shadow", "tally", "patience")]


def plain(value):
    """A ctypes structure as a dict."""
    if isinstance(value, ctypes.Structure):
        return {name: plain(getattr(value, name)) for name, *_ in value._fields_}
    return list(value) if isinstance(value, ctypes.Array) else value


class Setting(ctypes.Structure):
    """How a program is watched, and how many `Known` follow."""

    _fields_ = [("seed", ctypes.c_uint64)]
    _fields_ += [(n, ctypes.c_uint32) for n in ("preempt", "shadow", "tally", "patience")]
    _fields_ += [(n, ctypes.c_uint64) for n in ("count", "data", "data_end")]


class Known(ctypes.Structure):
    """A static variable of a program."""

    _fields_ = [(n, ctypes.c_uint64) for n in ("first", "size")]
    _fields_ += [(n, ctypes.c_uint32) for n in ("space", "is_empty")]
    _fields_ += [("name", ctypes.c_char * 64)]


class Note(ctypes.Structure):
    """A fault of a program's host part."""

    _fields_ = [("kind", ctypes.c_char * 24)]
    _fields_ += [(n, ctypes.c_uint64) for n in ("where", "other")]
    _fields_ += [("text", ctypes.c_char * 360)]


class Seen(ctypes.Structure):
    """Memory of a program: a static variable, or what it has allocated."""

    _fields_ = [("name", ctypes.c_char * 64)]
    _fields_ += [(n, ctypes.c_uint64) for n in ("size", "item", "made", "freed")]
    _fields_ += [(n, ctypes.c_uint32) for n in ("space", "is_empty")]


class Number(ctypes.Structure):
    """A number among a program's results."""

    _fields_ = [("value", ctypes.c_uint64)]


class Launched(ctypes.Structure):
    """A launch of a program."""

    _fields_ = [("name", ctypes.c_char * 96), ("message", ctypes.c_char * 256)]
    _fields_ += [(n, ctypes.c_uint64) for n in ("where", "stopped")]
    _fields_ += [(n, ctypes.c_uint32 * 3) for n in ("grid", "block")]
    _fields_ += [("dynamic", ctypes.c_uint64)]


def tables(data: bytes, *kinds: Any) -> list[list]:
    """Tables, each behind the number of its rows, as lists."""
    found, place = [], 0
    for kind in kinds:
        count = int.from_bytes(data[place : place + 8], "little")
        rows = (kind * count).from_buffer_copy(data, place + 8)
        found.append(list(rows))
        place += 8 + ctypes.sizeof(rows)
    return found
