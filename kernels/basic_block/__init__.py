"""The basic building block of a ResNet (He et al. 2015, section 3.2 and figure 2) as one operation.

    x, y (N, H, W, C)    w1, w2 (KH, KW, C, C), KH and KW odd    gamma, beta, running_... (C,)

    a = conv(x, w1)    h = relu(batch_norm(a, gamma1, beta1))
    b = conv(h, w2)    y = relu(batch_norm(b, gamma2, beta2) + x)     (+ x with `identity` only)

both convolutions with stride 1 and padding ((KH-1)/2, (KW-1)/2), so that the shape stays. Without
`identity` it is the same part of a plain net.

forward(x, w1, gamma1, beta1, w2, gamma2, beta2, *, running1, running2, training, momentum, eps,
        identity) -> (y, saved);  running1, running2 = (running_mean, running_var) of each
backward(dy, saved, needs) -> (dx, dw1, dgamma1, dbeta1, dw2, dgamma2, dbeta2)

The reference is the composition of the operations, one after the other. What fusing them saves are
passes over memory; counted in arrays of the size of x (a write counts twice, the processor reads
the line first):

    forward    read x, write a, sum it up while it is in the cache                               3
               read a, normalise, convolve, write b, sum it up                                   3
               read b and x, write y                                                             4
    backward   read dy, y and b: sums for gamma2, beta2; write du = dy where y > 0               5
               read du, b, a: db = batch norm backward; dw2 from db and h; dh, masked, written
               and summed up for gamma1, beta1                                                   5
               read dh, a, x, du: da, dw1 from da and x, dx + du written                         6

26, where the separate operations take 42: h, db and da never exist in memory, h is not kept for the
backward either.
"""
