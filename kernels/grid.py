"""How kernels are launched: a grid for the elements of an array, the sizes of windows by name."""

THREADS = 256
"""Threads in a block."""

MOST_BLOCKS = 2048
"""Enough blocks to fill any GPU; each thread then visits elements a whole grid apart."""


def blocks(size: int) -> tuple[int]:
    """The grid for `size` elements: a thread for each, up to MOST_BLOCKS * THREADS of them."""
    return (max(1, min(MOST_BLOCKS, -(-size // THREADS))),)


def window_sizes(shape, outputs, kernel, stride, padding) -> dict[str, int]:
    """Sizes of a convolution or pooling, under the names of its kernels' parameters.

    Parameters
    ----------
    shape : tuple
        Shape of the images, (N, H, W, C).
    outputs, kernel, stride, padding : (int, int)
        Windows along H and W: how many there are, how large, how far apart, how far outside.
    """
    (_, height, width, channels), (rows_out, columns_out) = shape, outputs
    (kernel_h, kernel_w), (stride_h, stride_w), (pad_h, pad_w) = kernel, stride, padding
    return dict(
        height=height,
        width=width,
        channels=channels,
        rows_out=rows_out,
        columns_out=columns_out,
        kernel_h=kernel_h,
        kernel_w=kernel_w,
        stride_h=stride_h,
        stride_w=stride_w,
        pad_h=pad_h,
        pad_w=pad_w,
    )
