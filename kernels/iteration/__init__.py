"""Which iteration of an epoch is next, on the device, where a graph that is replayed finds it.

    number () int64    rates (B,) float64, the learning rates of an epoch    rate () float64

    number <- number + 1
    rate <- rates[number], unless that was the last

The number chooses the batch (`augment.forward_at`), rate is what `sgd.update` reads. The host sets
both before an epoch's first step, this kernel at the end of every step.

advance(number, rates, rate) -> None
"""
