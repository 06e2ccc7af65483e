"""Image sets, normalisation, augmentation and batches."""

from pathlib import Path

from minires.data.cifar import find, load_cifar10, load_cifar100
from minires.data.dataset import DataError, Dataset
from minires.data.loader import Loader
from minires.data.normalization import Normalization
from minires.data.resident import ResidentBatches
from minires.data.shapes import load_shapes

NAMES = ("cifar10", "cifar100", "shapes", "auto")


def load(
    name: str, data_dir: str | Path = "data", download: bool = True, image_size: int = 32
) -> tuple[Dataset, Dataset, str]:
    """Training set, test set, and a sentence that says which data these are.

    Parameters
    ----------
    name : "cifar10", "cifar100", "shapes" or "auto"
        "auto" is CIFAR-10 if it lies in `data_dir` or can be downloaded, else shapes.
    data_dir : path
        Where CIFAR lies, or is downloaded to.
    download : bool
        Whether a download may be tried.
    image_size : int
        For shapes only; CIFAR has 32 x 32 pixels.

    Raises
    ------
    DataError
        If the data are missing, damaged, or not to be had; "auto" never fails for want of a
        network, but does if what lies in `data_dir` is damaged.
    """
    if name not in NAMES:
        raise DataError(f"no data set is named {name!r}; there are {', '.join(NAMES)}")
    if name != "shapes" and image_size != 32:
        raise DataError(f"{name} has 32 x 32 pixels; --image-size {image_size} is for shapes only")
    why = ""
    if name == "auto":
        try:
            if find("cifar10", data_dir) or download:
                return load("cifar10", data_dir, download)
            why = f" (no CIFAR-10 in {data_dir}, and downloads are switched off)"
        except DataError as error:
            if find("cifar10", data_dir):
                raise
            reason = error.__cause__ or error
            why = f" (no CIFAR-10 in {data_dir}, and it could not be downloaded: {reason})"
        name = "shapes"
    if name == "shapes":
        train, test = load_shapes(image_size=image_size)
        return train, test, f"shapes, the built-in synthetic set{why}"
    loader = load_cifar10 if name == "cifar10" else load_cifar100
    train, test = loader(data_dir, download=download)
    return train, test, f"{name} from {find(name, data_dir)}"
