"""minires gradcheck: is the backward of a function, Function or Module in a file right?"""

import inspect
from collections.abc import Callable
from pathlib import Path

from minires import backend, extensions, nn, variations
from minires.commands.options import import_option
from minires.differences import Tolerances
from minires.function import Function, calling
from minires.kernels.own import failure
from minires.suspects import GradcheckError

SHAPE = (3, 4)
"""The shape of each input, if none is given."""


def gradcheck(
    target: str, shapes: list[list[tuple]] | None, backend_name: str, imports: list[str] | None
) -> int:
    """minires gradcheck: print the report; the exit status is 1 if a gradient is wrong."""
    extensions.load(imports or ())
    with backend.use(backend_name):
        name, fn = _found(target)
        try:
            cases = shapes or [[SHAPE] * _inputs(name, fn)]
            checked = calling(fn) if isinstance(fn, type) else fn
            rows = variations.check(checked, cases, Tolerances())
        except GradcheckError as wrong:
            print(wrong)
            return 1
        except (ValueError, TypeError) as refused:
            raise ValueError(
                f"{name} cannot be checked at the shapes {_words(shapes)}: {refused}"
            ) from refused
        except Exception as error:  # of the code that is checked
            file = Path(target.partition("::")[0]).resolve()
            raise ValueError(f"{name} fails: {failure(file, error)}") from error
    print(f"{name}: backward agrees with numerical gradients; the largest errors:\n")
    print(table(rows))
    return 0


def table(rows: list[variations.Row]) -> str:
    """A line for each case, a column for each input and parameter."""
    names = list(dict.fromkeys(name for row in rows for name in row.errors))
    width = max(len(row.case) for row in rows) + 2
    wide = [max(len(name), 7) + 2 for name in names]
    lines = [f"{'case':<{width}}" + "".join(f"{n:>{w}}" for n, w in zip(names, wide, strict=True))]
    for row in rows:
        errors = [f"{row.errors[name]:.0e}" if name in row.errors else "" for name in names]
        cells = "".join(f"{e:>{w}}" for e, w in zip(errors, wide, strict=True))
        lines.append(
            f"{row.case:<{width}}" + (f"  left out: {row.left_out}" * bool(row.left_out) or cells)
        )
    return "\n".join(line.rstrip() for line in lines)


def shape(text: str) -> tuple[int, ...]:
    """``2x3`` or ``2,3`` -> (2, 3)."""
    return tuple(int(part) for part in text.replace("x", ",").split(","))


def _found(target: str) -> tuple[str, Callable]:
    """What stands behind FILE.py::NAME."""
    file, _, name = target.partition("::")
    if not name or not file.endswith(".py"):
        raise ValueError(f"{target!r} must be FILE.py::NAME, such as my_ops.py::softplus")
    module = extensions.load_file(file)
    if not hasattr(module, name):
        own = [n for n, value in vars(module).items() if _is_own(value, module.__name__)]
        raise ValueError(f"{file} has no {name}; it has {', '.join(own) or 'nothing to check'}")
    fn = getattr(module, name)
    if isinstance(fn, type) and issubclass(fn, Function):
        return name, fn
    if isinstance(fn, type) and issubclass(fn, nn.Module):
        try:
            return name, fn()
        except TypeError as error:
            raise ValueError(
                f"{name} of {file} cannot be made without arguments ({error}); name a Module that "
                f"is made already, such as my_layer = {name}(...)"
            ) from error
    if not callable(fn) or isinstance(fn, type):
        raise ValueError(
            f"{name} of {file} is a {type(fn).__name__}; expected is a function of Tensors, a "
            f"subclass of Function, or a Module"
        )
    return name, fn


def _is_own(value, module: str) -> bool:
    """Whether a module defines this value, and it can be checked."""
    checkable = isinstance(value, type) or inspect.isfunction(value)
    return isinstance(value, nn.Module) or (checkable and value.__module__ == module)


def _inputs(name: str, fn: Callable) -> int:
    """How many arguments it needs."""
    call = getattr(fn, "forward", fn)  # of a Module or a Function
    try:
        parameters = list(inspect.signature(call).parameters.values())[isinstance(fn, type) :]
    except (TypeError, ValueError):
        return 1
    needed = [p for p in parameters if p.default is p.empty and p.kind in (0, 1)]
    if not needed:
        raise ValueError(f"{name} does not say how many inputs it takes: give their --shapes")
    return len(needed)


def _words(shapes) -> str:
    if shapes is None:
        return f"{SHAPE} (give others with --shapes)"
    return "; ".join(" ".join(map(str, case)) for case in shapes)


def add(commands) -> None:
    """The command's options."""
    p = commands.add_parser(
        "gradcheck",
        help="is the backward of your own operation or layer right?",
        description="Compare the backward of a function, of a subclass of Function or of a Module "
        "with numerical gradients: inputs and parameters, in training and evaluation, with a batch "
        "of one, odd sizes, views, and two uses in one graph. docs/own.md shows examples.",
    )
    p.set_defaults(command=gradcheck)
    p.add_argument("target", metavar="FILE.py::NAME")
    p.add_argument(
        "--shapes",
        nargs="+",
        type=shape,
        action="append",
        metavar="SHAPE",
        help="of the inputs, such as 2x5x5x3 3x3x3x4; again for another case (default: 3x4 each)",
    )
    p.add_argument(
        "--backend", dest="backend_name", default="numpy", metavar="NAME", help="(default: numpy)"
    )
    import_option(p)
