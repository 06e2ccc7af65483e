"""Transposed convolution: the input gradient of a convolution, as an operation of its own.

    x (N, H, W, C)    w (KH, KW, K/G, C)    y (N, Ho, Wo, K)
    stride (sh, sw)    padding (ph, pw)    dilation (dh, dw)    G groups    size (Ho, Wo)

A convolution with w makes (N, Ho, Wo, K) into (N, H, W, C). This operation is its transpose: x
takes the place of dy, y that of dx (see `conv2d_grouped`). So it enlarges an image by the stride:

    Ho = (H - 1) sh - 2 ph + dh (KH - 1) + 1 + (0 to sh - 1),  Wo likewise

because a convolution with stride sh makes sh heights into the same H; `size` chooses one of them.
Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning", section 4.

forward(x, w, size, stride, padding, dilation, groups) -> (y, saved)
    saved = (x, w, stride, padding, dilation, groups)
backward(dy, saved, needs) -> (dx, dw)

The transpose of the transpose is the convolution itself: dx = conv2d(dy, w). y is bilinear in x and
w like the convolution, so dw is the filter gradient of a convolution of dy whose output has the
gradient x.
"""
