"""CUDA C++ as textbooks write it -> C++ that a CPU's compiler takes with `include/emulator.h`.

Almost everything is done there, by macros and functions. What macros cannot do is done here, by
rewriting text; line numbers stay as they are.

>>> translate("extern __shared__ float s[];")
'extern __thread float s[] __asm__("minires_dynamic_shared");'

Shared memory is thread-local memory of the core that runs the block: one core, one block at a time.
"""

import re

MARK = "#define EMULATOR_TEXTBOOK"
"""Put before a source that has __shared__ arrays: they are to be poisoned before each block."""

_DYNAMIC = re.compile(
    r"\bextern\s+__shared__\s+(?P<type>[^;=()\[\]]*(?:\([^()]*\)[^;=()\[\]]*)?)\[\s*\]\s*;"
)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'", re.S)
_REFUSED = {
    r"\basm\b": "inline PTX (asm)",
    r"<<<": "a launch inside the file (<<<...>>>); give kernel, grid and block instead",
    r"\b__activemask\s*\(": "__activemask()",
    r"\bcoalesced_threads\s*\(": "coalesced_threads()",
    r"\bthis_grid\s*\(": "this_grid(): barriers of the whole grid",
    r"#include\s*<(?:mma|cuda/\w+|thrust/\S+|cub/\S+|curand\w*|cublas\w*)(?:\.h)?>": "this header",
    r"\btexture\s*<|\btex[123]D\w*\s*[<(]|\bcudaTextureObject_t\b": "textures",
    r"\b__cp_async\w*|\b__pipeline_\w+": "asynchronous copies (cp.async)",
}
"""What the emulator has not, as a pattern, and its name."""


class NotThere(ValueError):
    """CUDA that the emulator does not have; `line` is where."""

    def __init__(self, what: str, line: int):
        super().__init__(f"line {line}: the emulator does not have {what}")
        self.line = line


def translate(source: str) -> str:
    """The source with its `extern __shared__` arrays laid over the block's dynamic memory."""
    if "__shared__" not in source:
        return source

    def rewritten(match: re.Match) -> str:
        lines = "\n" * match[0].count("\n")
        array = " ".join(match["type"].split())
        return f'extern __thread {array}[] __asm__("minires_dynamic_shared");{lines}'

    return _DYNAMIC.sub(rewritten, source)


def is_textbook(source: str) -> bool:
    """Whether it declares shared memory by `__shared__`."""
    return re.search(r"\b__shared__\b", without_comments(source)) is not None


def refuse(source: str) -> None:
    """Raise `NotThere` for the first thing that the emulator does not have."""
    plain = without_comments(source)
    found = [
        (match.start(), what)
        for pattern, what in _REFUSED.items()
        for match in [re.search(pattern, plain)]
        if match
    ]
    if found:
        place, what = min(found)
        raise NotThere(what, plain.count("\n", 0, place) + 1)


def without_comments(source: str) -> str:
    """The source with blanks for its comments and for the insides of its strings."""
    return _COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), source)


def dynamic_arrays(source: str) -> list[str]:
    """The names of the `extern __shared__` arrays."""
    plain = without_comments(source)
    names = [match["type"].split()[-1].lstrip("*") for match in _DYNAMIC.finditer(plain)]
    return names + re.findall(r"\bDYNAMIC_SHARED\(\s*\w+\s*,\s*(\w+)\s*\)", plain)
