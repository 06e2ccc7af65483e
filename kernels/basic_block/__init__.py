"""The basic building block of a ResNet (He et al. 2015, section 3.2 and figure 2) as one operation.

    x (N, H, W, C)    w1 (KH, KW, C, K)    w2 (KH, KW, K, K), KH and KW odd
    gamma, beta, running_... (K,)    y (N, ceil(H/s), ceil(W/s), K), s = stride

    a = conv(x, w1)    h = relu(batch_norm(a, gamma1, beta1))
    b = conv(h, w2)    y = relu(batch_norm(b, gamma2, beta2) + shortcut(x))

the first convolution with the stride s, both with padding ((KH-1)/2, (KW-1)/2). shortcut(x) is x,
or where the shape changes option A's (`kernels/shortcut`). Without `shortcut` nothing is added: the
same part of a plain net.

forward(x, w1, gamma1, beta1, w2, gamma2, beta2, *, running1, running2, training, momentum, eps,
        shortcut, stride) -> (y, saved);  running1, running2 = (running_mean, running_var) of each
backward(dy, saved, needs) -> (dx, dw1, dgamma1, dbeta1, dw2, dgamma2, dbeta2)

The reference is the composition of the operations, one after the other. What fusing them saves are
passes over memory; counted in arrays of the size of x, where the shape stays:

    forward    read x, write a, sum it up where it is stored from                                2
               read a, normalise, convolve, write b, sum it up                                   2
               read b and x, write y                                                             3
    backward   read dy, y and b: sums for gamma2, beta2; write du = dy where y > 0               4
               read du, b, a: db = batch norm backward; dw2 from db and h; dh, masked, written
               and summed up for gamma1, beta1                                                   4
               read dh, a, x, du: da, dw1 from da and x, dx + du written                         5

20, where the separate operations take 34: h, db and da never exist in memory, h is not kept for the
backward either. (On a GPU dw is computed apart from 64 channels on, which takes 6 more; on a
processor a write counts twice, because it reads the line first: 26 and 42.)

x may be of half length, float16 or bfloat16, with all parameters in float32: see "Half storage" in
`kernels/conv_norm_relu`. Rounded, when they are written, are a, b, y, du, dh and dx.

See docs/decisions/cpu.md, "A block is one operation".
"""
