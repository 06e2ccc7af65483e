"""Two-dimensional convolution (cross-correlation, as in every deep-learning library), without bias.

    x (N, H, W, C)    w (KH, KW, C, K)    y (N, Ho, Wo, K)    stride (sh, sw)    padding (ph, pw)

    Ho = floor((H + 2 ph - KH) / sh) + 1,  Wo likewise
    y[n,p,q,k] = sum over i,j,c of xp[n, p sh + i, q sw + j, c] * w[i,j,c,k]

where xp is x with ph rows and pw columns of zeros on every side.

forward(x, w, stride, padding) -> (y, saved);  saved = (x, w, stride, padding)
backward(dy, saved, needs) -> (dx, dw)

x, w and y have one dtype, float32 or float64; sums accumulate in it. Error bound: each y differs
from the exact value by at most KH*KW*C * eps * sum(|xp||w|), eps the unit round-off of the dtype,
the sum over its window. A file that computes tiles of pixels at once (Winograd) may let an error, a
NaN or an infinity of one pixel reach the whole tiles whose patch holds it; there the sum is over
the patch. `numba_winograd.py` does so, on patches of 4x4 pixels. Where `minires.cuda` chooses tf32
(float32 on GPUs with tensor cores), both factors are rounded to 2^-11 of their size first, which
adds 2^-10 sum(|xp||w|) to the bound.

Forward as a matrix product (im2col)
------------------------------------
Written with one row per output pixel, the windows of xp form a matrix X (N Ho Wo, KH KW C); w,
reshaped to (KH KW C, K), needs no copy in this layout, and Y = X W. X is KH*KW times as large as x,
so an implementation forms it in blocks that stay in cache, or never.

Derivation of the backward
--------------------------
From Y = X W follow dW = X^T dY and dX = dY W^T. dW is a matrix product with the same windows as the
forward. For the input: xp[n,a,b,c] meets w[i,j,c,k] in every output (p,q) with p sh + i = a and
q sw + j = b, so

    dxp[n,a,b,c] = sum over i,j,k with sh | a-i and sw | b-j of
                   dy[n, (a-i)/sh, (b-j)/sw, k] * w[i,j,c,k]

Let D be dy with sh-1 zero rows and sw-1 zero columns between its pixels and KH-1, KW-1 zeros around
it. Then dxp is the stride-1 convolution of D with w flipped in both spatial axes and with its
channel axes exchanged: the gradient of a convolution is a convolution. dx is the part of dxp
inside the padding; rows of x that no window reached (the stride's remainder) receive zero.

FLOPs: 2 * N*Ho*Wo * KH*KW*C*K each for y, dw and (at stride 1) dx.
"""
