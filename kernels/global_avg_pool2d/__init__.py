"""Mean over all pixels: what stands between the last convolution and the classifier of a ResNet.

    x (N, H, W, C) -> y (N, C)        y[n,c] = sum over h,w of x[n,h,w,c] / (H W)

forward(x) -> (y, saved);  saved = (x.shape, x.dtype)
backward(dy, saved, needs) -> (dx,)        dx[n,h,w,c] = dy[n,c] / (H W)

x and dx may be of half length (float16, bfloat16), y and dy are float32 then.
"""
