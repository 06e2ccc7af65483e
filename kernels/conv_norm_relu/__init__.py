"""A 3x3 convolution, its batch norm and the ReLU behind it as one operation: the stem of a ResNet.

    x (N, H, W, C)    w (KH, KW, C, K)    gamma, beta, running_... (K,)    y (N, Ho, Wo, K)

    a = conv(x, w)    y = relu(batch_norm(a, gamma, beta))

forward(x, w, gamma, beta, *, running, stride, padding, training, momentum, eps) -> (y, saved);
        running = (running_mean, running_var), stride and padding pairs as in `conv2d`
backward(dy, saved, needs) -> (dx, dw, dgamma, dbeta)

The reference is the composition of the operations. What fusing saves are passes over memory; in
arrays of the size of a, beside x:

    forward    write a, its sums taken from the registers that it is stored from                 1
               read a, normalise, write y                                                         2
    backward   read dy and a: sums for gamma and beta                                             2
               read dy and a: da = batch norm backward, where dw (and dx) read it                 2

7, where the separate operations take 11.

Half storage
------------
x may be float16 or bfloat16, with w and all the others in float32. Then images and their gradients
lie in memory in that dtype: a, y and dx are rounded to it once, when they are written. All that
happens between reading and writing is float32: products and sums, statistics (of the rounded
numbers), gradients of parameters, the running statistics.

See docs/decisions/cuda.md, "Half storage".
"""
