"""From stored images to network input: choose, normalise, random crop of the padded image, flip.

    images (M, H, W, C) uint8, a whole data set    chosen (N,) int64, which of them: 0 to M - 1
    mean, inv_std (H, W, C) float32
    offsets (N, 2) int64 in [0, 2 pad]    flips (N,) bool    y (N, H, W, C) of dtype

    z = (images[chosen] / 255 - mean) * inv_std
    y[n,h,w] = zp[n, h + offsets[n,0], w' + offsets[n,1]],  w' = W-1-w if flips[n] else w

where zp is z with `pad` zeros on every side; the crop keeps the size H x W. He et al. 2015,
sec. 4.2: "4 pixels are padded on each side, and a 32x32 crop is randomly sampled from the padded
image or its horizontal flip". Zeros are padded after the mean is subtracted, so a padded pixel is
an average pixel, and a per-pixel mean meets the pixels that it was taken from.

The data set stays where it is (on a GPU: in its memory, as bytes); a batch is read out of it.

forward(images, chosen, offsets, flips, pad, mean, inv_std, dtype=float32) -> y
    No gradient: images are data. dtype is float32, or float16 or bfloat16, to which y is rounded.
normalize(images, chosen, mean, inv_std, dtype=float32) -> z
forward_at(images, labels, chosen, offsets, flips, pad, mean, inv_std, batch, size, dtype=float32)
    -> (y (size, H, W, C), the batch's labels (size,))
    labels (M,) int64: of all images. chosen, offsets and flips are those of an epoch, of which the
    batch has the rows batch * size to (batch + 1) * size - 1; batch () int64 is an array, which a
    graph reads at every replay. In reference.py and cuda.py only: no other kernels are replayed.

See docs/decisions/models_and_data.md, "Pad after normalising".
"""
