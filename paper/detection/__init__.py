"""A small single-shot detector, to see what a backbone is worth beyond classification.

He et al. 2015, section 4.4: VGG-16 is replaced by ResNet-101 in a detector that is otherwise the
same, and the detections get better. Here the detector is one convolution and three 1x1 convolutions
behind a backbone, trained on synthetic scenes.

    scenes.py              images of several shapes, with a box around each
    detector.py            the network
    grid.py                boxes to what the network should say, and what it says to boxes
    loss.py                how wrong it is
    loop.py                training
    boxes.py               overlap of boxes, and which of several to keep
    average_precision.py   how good the detections are

See docs/decisions/paper.md, "The smallest detector".
"""

from minires.paper.detection.average_precision import THRESHOLDS, average_precisions
from minires.paper.detection.boxes import (
    Detections,
    intersection_over_union,
    non_maximum_suppression,
)
from minires.paper.detection.detector import Detector, Predictions
from minires.paper.detection.grid import Targets, decode, encode
from minires.paper.detection.loop import DetectionConfig, DetectionTrainer, detect
from minires.paper.detection.loss import binary_cross_entropy, detection_loss, smooth_l1
from minires.paper.detection.scenes import Scenes, load_scenes
