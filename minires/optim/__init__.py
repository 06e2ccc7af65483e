"""What learns: optimizers, parameter groups, learning-rate schedules, gradient clipping.

    optimizer.py   `Optimizer`, which every method is one of; groups of parameters
    sgd.py         stochastic gradient descent with momentum
    adam.py        Adam and AdamW
    schedules.py   the learning rate as a function of the iteration
    lr_scheduler.py  the same as objects, under PyTorch's names

A new method is a class of a few lines in a file beside `sgd.py`, its arithmetic a folder of
`kernels/`.
"""

from minires.hints import asked_in
from minires.nn.utils import clip_grad_norm
from minires.optim import lr_scheduler
from minires.optim.adam import Adam, AdamW
from minires.optim.optimizer import Optimizer, decay_groups
from minires.optim.schedules import (
    Schedule,
    constant,
    cosine,
    one_cycle,
    step_decay,
    warm_up,
)
from minires.optim.sgd import SGD

__getattr__ = asked_in("optim")
