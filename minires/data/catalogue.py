"""The table of data sets: what each is called, what loads it, what it consists of.

>>> register("mydata", load, image_size=64)  # load(data_dir, download, image_size)
>>> train, test, note = load("mydata")
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minires.data import cifar
from minires.data.dataset import DataError, Dataset
from minires.data.shapes import load_shapes

AUTO = "auto"
"""Stands for CIFAR-10 if it is found or can be downloaded, else for shapes."""


ARGUMENTS = ("data_dir", "download", "image_size")
"""What a function that loads a data set is given."""


@dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    Attributes
    ----------
    name : str
    load : callable
        ``load(data_dir=..., download=..., image_size=...)`` returns a training set and a test set,
        two Datasets.
    classes : int, optional
        How many; None if only the data tell it.
    image_size : int
        Pixels a side.
    any_size : bool
        Whether `load` can make images of other sizes.
    find : callable, optional
        ``find(data_dir)`` returns the path of its files, or None if they are not there; not given
        for a set that is no file.
    about : str
        What is said of it besides its name.
    recipe : dict
        Settings of `minires train` for it, where they are not given.
    """

    name: str
    load: Callable[..., tuple[Dataset, Dataset]]
    classes: int | None = None
    image_size: int = 32
    any_size: bool = False
    find: Callable[[str | Path], Path | None] | None = None
    about: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)

    def found(self, data_dir: str | Path) -> Path | None:
        """Where its files lie; None if they are not there, or if it is no file."""
        return None if self.find is None else self.find(data_dir)

    def check_image_size(self, size: int) -> None:
        """Raise a DataError if it has no images of size x size pixels."""
        if not self.any_size and size != self.image_size:
            raise DataError(
                f"{self.name} has {self.image_size} x {self.image_size} pixels, not {size} x "
                f"{size}; --image-size is for data that are made in any size, such as shapes"
            )

    def check(self, found: object, size: int) -> tuple[Dataset, Dataset]:
        """What `load` has returned; a DataError if it is not what this entry says."""
        if not (
            isinstance(found, tuple | list)
            and len(found) == 2
            and all(isinstance(part, Dataset) for part in found)
        ):
            raise DataError(
                f"what loads {self.name!r} must return a training set and a test set, two "
                f"Datasets, but returned a {type(found).__name__}"
            )
        for part, kind in zip(found, ("training", "test"), strict=True):
            if part.images.dtype != np.uint8 or part.images.shape[3:] != (3,) or not part.classes:
                raise DataError(
                    f"the command line trains classifiers on images (N,H,W,3) of uint8, but the "
                    f"{kind} set of {self.name!r} is {part!r}; other data are trained on in "
                    f"Python, with data.Loader"
                )
            if self.classes is not None and len(part.classes) != self.classes:
                raise DataError(
                    f"{self.name!r} was registered with {self.classes} classes, but its {kind} set "
                    f"has {len(part.classes)}"
                )
            if part.images.shape[1:3] != (size, size):
                height, width = part.images.shape[1:3]
                raise DataError(
                    f"{self.name!r} must have images of {size} x {size} pixels, but those of its "
                    f"{kind} set have {height} x {width} (see image_size of data.register)"
                )
        if found[0].classes != found[1].classes:
            raise DataError(
                f"the training set of {self.name!r} and its test set must have the same classes, "
                f"but have {len(found[0].classes)} and {len(found[1].classes)}; give their names: "
                f"Dataset(name, images, labels, classes)"
            )
        return found[0], found[1]


def _load_cifar10(data_dir: str | Path, download: bool, image_size: int):
    return cifar.load_cifar10(data_dir, download=download)


def _load_cifar100(data_dir: str | Path, download: bool, image_size: int):
    return cifar.load_cifar100(data_dir, download=download)


def _load_shapes(data_dir: str | Path, download: bool, image_size: int):
    return load_shapes(image_size=image_size)


SOURCES = {
    source.name: source
    for source in (
        Source("cifar10", _load_cifar10, 10, find=lambda path: cifar.find("cifar10", path)),
        Source("cifar100", _load_cifar100, 100, find=lambda path: cifar.find("cifar100", path)),
        Source(
            "shapes",
            _load_shapes,
            10,
            any_size=True,
            about="the built-in synthetic set",
            recipe={"epochs": 6},
        ),
    )
}
"""Name -> data set."""


def register(
    name: str,
    load: Callable[..., tuple[Dataset, Dataset]],
    *,
    classes: int | None = None,
    image_size: int = 32,
    any_size: bool = False,
    about: str = "",
    recipe: Mapping[str, Any] | None = None,
) -> Source:
    """Add a data set to the table; returns its entry. Parameters are the attributes of `Source`.

    `load` may take fewer arguments than `data_dir`, `download` and `image_size`, or none.

    >>> register("mine", lambda: (train, test))

    Raises
    ------
    ValueError
        If the name is taken or is no name.
    TypeError
        If `load` cannot be called with these arguments.
    """
    if not re.fullmatch(r"[A-Za-z][\w-]*", name):
        raise ValueError(f"register: {name!r} cannot be a data set's name")
    if name in SOURCES or name == AUTO:
        raise ValueError(f"register: there is already a data set named {name!r}")
    taken = _taken(name, load)

    def loaded(**given) -> tuple[Dataset, Dataset]:
        return load(**{argument: given[argument] for argument in taken})

    SOURCES[name] = Source(
        name, loaded, classes, image_size, any_size, about=about, recipe=dict(recipe or {})
    )
    return SOURCES[name]


def _taken(name: str, load: Callable) -> list[str]:
    """Which of ARGUMENTS a function takes that loads a data set."""
    try:
        if not callable(load):
            raise TypeError(f"it is a {type(load).__name__}")
        signature = inspect.signature(load)
        parameters = signature.parameters.values()
        any_name = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
        taken = [a for a in ARGUMENTS if any_name or a in signature.parameters]
        signature.bind(**dict.fromkeys(taken))
    except TypeError as error:
        raise TypeError(
            f"register: {name!r} must be loaded by load(data_dir=..., download=..., "
            f"image_size=...), or by a function of some of these: {error}"
        ) from None
    return taken


def names() -> list[str]:
    """All names that `load` knows."""
    return [*SOURCES, AUTO]


def get(name: str) -> Source:
    """The data set of this name; for "auto" CIFAR-10. A DataError if there is none."""
    if name not in names():
        raise DataError(
            f"no data set is named {name!r}; there are {', '.join(names())}; a module that "
            f"registers another one is given with --import"
        )
    return SOURCES["cifar10" if name == AUTO else name]


def load(
    name: str,
    data_dir: str | Path = "data",
    download: bool = True,
    image_size: int | None = None,
) -> tuple[Dataset, Dataset, str]:
    """Training set, test set, and a sentence that says which data these are.

    Parameters
    ----------
    name : str
        "cifar10", "cifar100", "shapes", what `register` has added, or "auto": CIFAR-10 if it lies
        in `data_dir` or can be downloaded, else shapes.
    data_dir : path
        Where CIFAR lies, or is downloaded to.
    download : bool
        Whether a download may be tried.
    image_size : int, optional
        Pixels a side: for shapes any from 8 to 64, else those that the set has.

    Raises
    ------
    DataError
        If the data are missing, damaged, or not to be had; "auto" never fails for want of a
        network, but does if what lies in `data_dir` is damaged.
    """
    source = get(name)
    image_size = source.image_size if image_size is None else image_size
    source.check_image_size(image_size)
    why = ""
    if name == AUTO:
        try:
            if source.found(data_dir) or download:
                return load(source.name, data_dir, download, image_size)
            why = f" (no CIFAR-10 in {data_dir}, and downloads are switched off)"
        except DataError as error:
            if source.found(data_dir):
                raise
            reason = error.__cause__ or error
            why = f" (no CIFAR-10 in {data_dir}, and it could not be downloaded: {reason})"
        source = SOURCES["shapes"]
    found = source.load(data_dir=data_dir, download=download, image_size=image_size)
    train, test = source.check(found, image_size)
    if source.find is not None:
        return train, test, f"{source.name} from {source.found(data_dir)}"
    about = f", {source.about}" if source.about else ""
    return train, test, f"{source.name}{about}{why}"
