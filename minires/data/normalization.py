"""Normalisation: what is subtracted from the pixels, and divided by, before a network sees them.

z = (pixels / 255 - mean) * inv_std

per-pixel    mean image of the training set, inv_std 1 (He et al. 2015, section 4.2)
cifar10      mean and standard deviation of each colour over CIFAR-10's training set
imagenet     those of ImageNet, with which many published CIFAR weights were trained, too
"""

import json
from dataclasses import dataclass

import numpy as np

FIXED = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
NAMES = ("per-pixel", *FIXED)


@dataclass(frozen=True, repr=False)
class Normalization:
    """mean and inv_std: float32 arrays of shape (H, W, C) or (C,), for pixels / 255."""

    name: str
    mean: np.ndarray
    inv_std: np.ndarray

    def __call__(self, images) -> np.ndarray:
        """What a network sees of one image (H, W, C) or of several (N, H, W, C): float32.

        Images of uint8 are divided by 255 first; floats are taken as they are.
        """
        images = np.asarray(images)
        if images.dtype.kind not in "fiu" or images.shape[-self.mean.ndim :] != self.mean.shape:
            raise ValueError(
                f"the {self.name} normalisation is made for images of {self.mean.shape}, but these "
                f"are {images.dtype} {images.shape}"
            )
        scale = np.float32(1 / 255) if images.dtype == np.uint8 else np.float32(1)
        return (images.astype(np.float32) * scale - self.mean) * self.inv_std

    def __repr__(self) -> str:
        return f"Normalization({self.name!r}, {' x '.join(map(str, self.mean.shape))})"

    @classmethod
    def make(cls, name: str, train_images: np.ndarray | None = None) -> "Normalization":
        """The normalisation called `name`; per-pixel needs the training images (N,H,W,C) uint8."""
        if name in FIXED:
            mean, std = (np.array(values, np.float32) for values in FIXED[name])
            return cls(name, mean, 1 / std)
        if name != "per-pixel":
            raise ValueError(f"no normalisation is named {name!r}; there are {', '.join(NAMES)}")
        if train_images is None:
            raise ValueError("the per-pixel normalisation needs the training images")
        if (
            not isinstance(train_images, np.ndarray)
            or train_images.dtype != np.uint8
            or train_images.ndim != 4
            or not train_images.size
        ):
            found = getattr(train_images, "dtype", ""), getattr(train_images, "shape", "")
            raise ValueError(
                f"the per-pixel normalisation needs training images, an array (N,H,W,C) of uint8 "
                f"with at least one of them, but was given a {type(train_images).__name__} "
                f"{found[0]} {found[1]}".rstrip()
            )
        total = train_images.sum(axis=0, dtype=np.uint64)  # exact, whatever the order
        mean = total / (255.0 * len(train_images))
        return cls(name, mean.astype(np.float32), np.ones(mean.shape[-1:], np.float32))

    def to_metadata(self) -> dict[str, str]:
        """The normalisation as a weight file's metadata; float32 values survive exactly."""
        return {
            "normalization": self.name,
            "normalization_mean": json.dumps(self.mean.tolist()),
            "normalization_inv_std": json.dumps(self.inv_std.tolist()),
        }

    @classmethod
    def from_metadata(cls, metadata: dict[str, str]) -> "Normalization | None":
        """What `to_metadata` wrote; None if there is none."""
        if "normalization" not in metadata:
            return None
        mean, inv_std = (
            np.array(json.loads(metadata[f"normalization_{part}"]), np.float32)
            for part in ("mean", "inv_std")
        )
        for part in (mean, inv_std):
            fits = part.shape[-1:] == mean.shape[-1:] and part.ndim in (1, 3) and part.size
            if not fits or not np.isfinite(part).all():
                raise ValueError(f"an array {part.shape} is not (C,) or (H,W,C) finite numbers")
        return cls(metadata["normalization"], mean, inv_std)
