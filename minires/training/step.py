"""One step of training: a batch goes in, the parameters change."""

from minires import functional as F
from minires import optim
from minires.amp import GradScaler
from minires.nn import Module
from minires.optim import Optimizer
from minires.tensor import Tensor
from minires.training.nonfinite import require_finite_gradients, require_finite_loss


def step(
    model: Module,
    optimizer: Optimizer,
    x: Tensor,
    labels,
    label_smoothing: float = 0.0,
    scaler: GradScaler | None = None,
    max_norm: float | None = None,
    finite: bool = False,
) -> tuple[Tensor, Tensor]:
    """Forward, cross-entropy, backward and update of a classifier.

    Parameters
    ----------
    model : Module
        The network, in training mode.
    optimizer : Optimizer
        The optimizer, with the learning rate of this step.
    x : Tensor (N, H, W, C)
    labels : array (N,) of integers
    label_smoothing : float
    scaler, max_norm, finite
        See `minimize`.

    Returns
    -------
    loss : Tensor ()
    logits : Tensor (N, K)
    """
    logits = model(x)
    loss = F.cross_entropy(logits, labels, label_smoothing)
    minimize(loss, optimizer, scaler, max_norm, finite)
    return loss, logits


def minimize(
    loss: Tensor,
    optimizer: Optimizer,
    scaler: GradScaler | None = None,
    max_norm: float | None = None,
    finite: bool = False,
) -> None:
    """Backward from `loss`, then one update of the optimizer's parameters.

    Parameters
    ----------
    loss : Tensor ()
    optimizer : Optimizer
    scaler : GradScaler, optional
        Scales the loss, for gradients in float16.
    max_norm : float, optional
        To which the joint norm of all gradients is clipped.
    finite : bool
        Look first whether the loss is finite, and before the update whether all gradients are,
        which waits for the device. Gradients that a scaler sees may be infinite: it deals with it.

    Raises
    ------
    NotFinite
        With `finite`; no parameter has changed then.
    """
    if finite:
        require_finite_loss(loss)
    optimizer.zero_grad()
    if scaler is None:
        loss.backward()
    else:
        scaler.backward(loss)
    if finite and scaler is None:
        require_finite_gradients(optimizer)
    if max_norm is not None:
        scale = 1.0 if scaler is None else scaler.scale
        optim.clip_grad_norm(optimizer.params, max_norm * scale)
    if scaler is None:
        optimizer.step()
    else:
        scaler.step(optimizer)
