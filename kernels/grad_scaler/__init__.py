"""Dynamic loss scaling (Micikevicius et al. 2018, "Mixed Precision Training", section 3.2).

Gradients of images may be smaller than the smallest number of float16. So backward starts from the
loss times a scale, and the gradients of the parameters are divided by it again before the update.
If one of them is not finite, the scale was too large: that step is left out and the scale reduced.
After `interval` steps without such a thing it is raised.

    grads    a list of arrays        state (4,) float32: scale, inverse, found, good

    inverse = 1 / scale, of the gradients at hand
    found = 1 if an element of any gradient is infinite or NaN, else 0
    scale, good = scale * backoff, 0    if found
                  scale * growth, 0     else, if good + 1 >= interval and that is finite
                  scale, good + 1       else

update(grads, state, growth, backoff, interval) -> None
    state is updated in place; on a device it stays there. `sgd` reads inverse and found from it.

See docs/decisions/cuda_graphs.md, "The loss's scale too".
"""

SCALE, INVERSE, FOUND, GOOD = range(4)
"""Places in `state`."""
