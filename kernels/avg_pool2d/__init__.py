"""Mean of every window, the zeros of the padding counted (PyTorch's `count_include_pad=True`).

    x (N, H, W, C)    y (N, Ho, Wo, C)    kernel (KH, KW)    stride (sh, sw)    padding (ph, pw)

    y[n,p,q,c] = sum over i,j of xp[n, p sh + i, q sw + j, c] / (KH KW),   xp = x padded with zeros

Ho, Wo as for conv2d; 2 ph <= KH and 2 pw <= KW.

forward(x, kernel, stride, padding) -> (y, saved);  saved = (x.shape, kernel, stride, padding)
backward(dy, saved, needs) -> (dx,)

The operation is linear with coefficients 1/(KH KW): every pixel receives, from each window that
covers it, that window's dy / (KH KW).
"""
