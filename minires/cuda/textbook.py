"""CUDA C++ as textbooks write it -> C++ that a CPU's compiler takes with `include/emulator.h`.

Almost everything is done there, by macros and functions. What macros cannot do is done here, by
rewriting text, <<<...>>> among it; line numbers stay as they are.

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
    r"\b__activemask\s*\(": "__activemask()",
    r"\bcoalesced_threads\s*\(": "coalesced_threads()",
    r"\bthis_grid\s*\(": "this_grid(): barriers of the whole grid",
    r"#include\s*<(?:cuda/\w+|thrust/\S+|cub/\S+|curand\w*|cublas\w*)(?:\.h)?>": "this header",
    r"\btexture\s*<|\btex[123]D\w*\s*[<(]|\bcudaTextureObject_t\b": "textures",
    r"\b__cp_async\w*|\bcuda::(?:pipeline|barrier)\b": "cuda::pipeline, cuda::barrier",
}
"""What the emulator has not, as a pattern, and its name."""


class NotThere(ValueError):
    """CUDA that the emulator does not have; `line` is where."""

    def __init__(self, what: str, line: int):
        super().__init__(f"line {line}: the emulator does not have {what}")
        self.line = line


def translate(source: str) -> str:
    """The source with `extern __shared__` arrays laid over dynamic memory, launches as calls."""
    if "<<<" in source:
        source = _with_calls(source)
    if "__shared__" not in source:
        return source
    source = re.sub(r"\bstatic(\s+)__shared__", r"\1__shared__", source)

    def rewritten(match: re.Match) -> str:
        lines = "\n" * match[0].count("\n")
        array = " ".join(match["type"].split())
        return f'extern __thread {array}[] __asm__("minires_dynamic_shared");{lines}'

    return _DYNAMIC.sub(rewritten, source)


def _with_calls(source: str) -> str:
    """The source with each ``k<<<g, b>>>(x)`` as a call of a launcher (`include/runtime.h`)."""
    plain = without_comments(source)
    pieces, done = [], 0
    for match in re.finditer("<<<", plain):
        name = _name_before(plain, match.start())
        end = _closing(plain, match.end())
        if name is None or end is None or match.start() < done:
            continue
        begin, stop = name
        kernel = source[begin:stop]
        word = " ".join(kernel.split())
        pieces.append(
            f'{source[done:begin]}emulator::runtime::launcher("{word}", '
            f"emulator::runtime::configure({source[match.end() : end]}), "
            f"[&](auto... minires_a) EMULATOR_OWN {{ {kernel}(minires_a...); }})"
        )
        done = end + 3
    return "".join(pieces) + source[done:]


def _name_before(plain: str, place: int) -> tuple[int, int] | None:
    """Where the kernel's name begins and ends that stands before a place."""
    stop = len(plain[:place].rstrip())
    begin = stop
    if plain[:stop].endswith(">"):
        depth = 0
        while begin > 0:
            begin -= 1
            depth += {">": 1, "<": -1}.get(plain[begin], 0)
            if not depth:
                break
    head = re.search(r"[A-Za-z_][\w:]*\s*$", plain[:begin])
    return (head.start(), stop) if head else None


def _closing(plain: str, place: int) -> int | None:
    """Where the ``>>>`` stands that ends a launch's configuration."""
    depth = 0
    for i in range(place, len(plain)):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(plain[i], 0)
        if not depth and plain.startswith(">>>", i):
            return i
    return None


def device_variables(source: str) -> dict[str, str]:
    """The __device__, __constant__ and __managed__ variables: their names, and which of these."""
    plain = re.sub(
        r"(__align__|alignas|__attribute__)\s*\(+[^()]*\)+", " ", without_comments(source)
    )
    found = {}
    for match in re.finditer(r"\b__(?:device|constant|managed)__\b([^;{}()=]*)([;={(])", plain):
        if match[2] == "(":
            continue  # a function
        kind = "managed" if "__managed__" in match[0] else "device"
        for part in re.sub(r"<[^<>]*>", "", match[1]).split(","):
            words = re.findall(r"\w+", re.sub(r"\[[^\]]*\]", "", part))
            found.update({words[-1]: kind} if words else {})
    return found


def is_program(source: str) -> bool:
    """Whether it has a function main."""
    return re.search(r"\bmain\s*\([^;{}]*\)\s*\{", without_comments(source)) is not None


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
