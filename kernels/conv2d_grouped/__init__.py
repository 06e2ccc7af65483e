"""Convolution with dilation, and in groups: as `conv2d`, but of some channels and of pixels apart.

    x (N, H, W, C)    w (KH, KW, C/G, K)    y (N, Ho, Wo, K)
    stride (sh, sw)    padding (ph, pw)    dilation (dh, dw)    G groups

    Ho = floor((H + 2 ph - dh (KH - 1) - 1) / sh) + 1,  Wo likewise
    y[n,p,q,k] = sum over i,j,c of xp[n, p sh + i dh, q sw + j dw, g C/G + c] * w[i,j,c,k]

where xp is x with zeros around it and g = floor(k / (K/G)) is the group of output channel k: each
group sees its own C/G input channels (Krizhevsky, Sutskever and Hinton 2012, section 3.5). With
G = C the convolution is depthwise. A dilation of 2 skips every other pixel, so that a window of
3 x 3 looks at 5 x 5 (Yu and Koltun 2016, equation 2).

forward(x, w, stride, padding, dilation, groups) -> (y, saved)
    saved = (x, w, stride, padding, dilation, groups)
backward(dy, saved, needs) -> (dx, dw)

For one place (i, j) of the window, all outputs see one strided slice X of xp. For each group it is
a matrix of pixels by channels, and the convolution adds X w[i,j]; so dw[i,j] = X^T dy, and the
slice of dxp receives dy w[i,j]^T. dx is the part of dxp inside the padding.
"""
