"""Running sums of loss and accuracy, kept on the device.

    loss ()    logits z (N, K)    labels (N,) int64    loss_sum () float64    correct () int64

    loss_sum <- loss_sum + N loss
    correct <- correct + number of rows n with argmax_k z[n,k] = labels[n]

`loss` is a batch's mean, so that loss_sum / (images so far) is the mean over all batches. Of equal
logits the first is the largest, and a NaN is larger than every number (NumPy's argmax).

accumulate(loss, logits, labels, loss_sum, correct) -> None
    loss_sum and correct are updated in place; nobody has to wait until a number is shown.
"""
