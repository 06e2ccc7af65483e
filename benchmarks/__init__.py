"""How fast a training step is: minires on its backends, PyTorch beside it, in one interleaved run.

Every contestant is a process of its own, so that its peak memory is its own and no library's
threads get in another's way. They take turns: in each round each contestant runs a few steps while
the others wait, so that whatever else the machine does meets all of them alike.
"""

from minires.benchmarks.contestants import TORCH_VARIANTS, Contestant
from minires.benchmarks.reporting import report
from minires.benchmarks.timing import measure
