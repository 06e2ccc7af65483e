"""From stored images to network input: normalise, then random crop of the padded image, then flip.

    images (N, H, W, C) uint8    mean, inv_std: float32, broadcastable to (H, W, C)
    offsets (N, 2) integers in [0, 2 pad]    flips (N,) bool    y (N, H, W, C) float32

    z = (images / 255 - mean) * inv_std
    y[n,h,w] = zp[n, h + offsets[n,0], w' + offsets[n,1]],  w' = W-1-w if flips[n] else w

where zp is z with `pad` zeros on every side; the crop keeps the size H x W. He et al. 2015,
sec. 4.2: "4 pixels are padded on each side, and a 32x32 crop is randomly sampled from the padded
image or its horizontal flip". Zeros are padded after the mean is subtracted, so a padded pixel is
an average pixel, and a per-pixel mean meets the pixels that it was taken from.

forward(images, offsets, flips, pad, mean, inv_std) -> y      (no gradient: images are data)
normalize(images, mean, inv_std) -> z
"""
