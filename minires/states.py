"""Arrays replaced by others of the same names: all of them, or none if one does not fit."""

from collections.abc import Mapping

import numpy as np

from minires import backend


def replace(where: str, own: Mapping, given: Mapping) -> None:
    """Copy every array of `given` into the one of the same name in `own`, whose dtype stays.

    Parameters
    ----------
    where : str
        Who loads them, for messages.
    own, given : mapping of str to array
        `given` may have fewer names.

    Raises
    ------
    TypeError, ValueError
        If one is no array of real numbers, has another shape, or cannot be written to; then nothing
        has been copied.
    """
    ready = {}
    for name, value in given.items():
        array = np.asarray(backend.to_numpy(value))
        if array.dtype.kind not in "fiub" and not backend.is_half(array.dtype):
            raise ValueError(f"{where}: {name} holds {array.dtype} data, not numbers")
        if array.shape != own[name].shape:
            raise ValueError(
                f"{where}: {name} is {array.shape} in the state but {own[name].shape} here"
            )
        if not getattr(own[name].flags, "writeable", True):
            raise ValueError(f"{where}: {name} is read-only here, so nothing can be loaded into it")
        ready[name] = backend.asarray(array, own[name].dtype)
    for name, array in ready.items():
        own[name][...] = array
