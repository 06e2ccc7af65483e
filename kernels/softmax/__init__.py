"""Softmax along one axis, its logarithm, and the logarithm of the sum of exponentials.

    kind           y =                              dx =
    softmax        e^x_i / sum_j e^x_j              y (dy - sum_j dy_j y_j)
    log_softmax    x_i - log sum_j e^x_j            dy - e^y sum_j dy_j
    logsumexp      log sum_j e^x_j                  dy e^(x - y)

Derivation. With p_i = e^x_i / sum_j e^x_j, the derivative of logsumexp to x_i is p_i. So that of
log p_i to x_j is [i = j] - p_j, and that of p_i is p_i ([i = j] - p_j); the sum over i with dy_i
gives the table.

The largest x is subtracted first, which changes nothing but keeps e^x within range. A row of -inf
has the logsumexp -inf, and no softmax: NaN.

forward(x, axis, kind) -> (y, saved);  axis: int; logsumexp keeps it with length 1
    saved = (y, None, axis, kind), for logsumexp (y, x, axis, kind)
backward(dy, saved, needs) -> (dx,)
"""
