"""Mean over all pixels: what stands between the last convolution and the classifier of a ResNet.

    x (N, H, W, C) -> y (N, C)        y[n,c] = sum over h,w of x[n,h,w,c] / (H W)

forward(x) -> (y, saved);  saved = (x.shape,)
backward(dy, saved, needs) -> (dx,)        dx[n,h,w,c] = dy[n,c] / (H W)
"""
