"""Image sets, normalisation, augmentation and batches."""

from minires.data.batches import DataLoader, Subset, TensorDataset, random_split
from minires.data.catalogue import SOURCES, Source, get, load, names, register
from minires.data.cifar import find, load_cifar10, load_cifar100
from minires.data.dataset import DataError, Dataset
from minires.data.loader import Loader
from minires.data.normalization import Normalization
from minires.data.resident import ResidentBatches
from minires.data.shapes import load_shapes
from minires.hints import asked_in

__getattr__ = asked_in("data")
