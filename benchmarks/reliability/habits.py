"""What somebody types who knows PyTorch: one-liners that work here, or name what to write instead.

The tests run them all; `arguments` takes them as valid calls, whose arguments it spoils.

`names()` makes the objects that they speak of: x (3,4), y (3,4) and v (4,) need a gradient; z is x
without; `images` are (2,8,8,3), `labels` integers, `model`, `opt` and `loss` what they always are.
"""

import numpy as np

import minires as mr
from minires import data, nn, optim
from minires import functional as F


def names() -> dict:
    """Fresh objects for one line."""
    mr.seed(0)
    rng = np.random.default_rng(0)
    float32 = lambda *shape: rng.standard_normal(shape).astype("f4")  # noqa: E731
    x, y, v = (mr.Tensor(float32(*shape), requires_grad=True) for shape in ((3, 4), (3, 4), (4,)))
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    model.append(nn.Linear(144, 5))
    images, labels = mr.Tensor(float32(2, 8, 8, 3)), np.array([0, 3])
    opt = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    spaces = {"mr": mr, "F": F, "nn": nn, "optim": optim, "data": data, "np": np}
    mine = {"x": x, "y": y, "v": v, "model": model, "images": images, "labels": labels}
    return spaces | mine | {"opt": opt, "loss": loss, "z": x.detach()}


WORK = """
x + 1; 2 * x; x - y; x / y; x ** 2; -x; x @ y.T; x // 2; x % 2; abs(x); 2 ** x; 1 / x; x > 0
x >= 0; x < y; x <= 1; x == y; x != y; (x > 0) & (x < 1); (x > 0) | (y > 0); ~(x > 0); x[0]
x[:, 1]; x[..., None]; x[x > 0]; x[[0, 2]]; x[-1, -1]; x[:, ::2]; x[mr.tensor([0, 1])]; x.sum()
x.sum(0); x.sum(dim=0); x.sum(dim=1, keepdim=True); x.sum(axis=0, keepdims=True); x.mean()
x.mean(dim=0); x.mean(1, keepdim=True); x.max(); x.min(); x.prod(); x.var(); x.std(); x.var(dim=0)
x.std(dim=0, correction=0); x.norm(); x.norm(p=1); x.norm(2, 1); x.cumsum(0); x.argmax()
x.argmax(dim=1); x.argmin(1); x.any(); x.all(); (x > 0).any(dim=0); (x > 9).all(); x.amax(dim=1)
x.amin(dim=0); x.logsumexp(1); x.softmax(dim=1); x.log_softmax(-1); x.topk(2); x.sort()
x.sort(dim=0, descending=True); x.argsort(); x.nonzero(); x.isnan(); x.isinf(); x.isfinite()
x.exp(); x.log1p(); x.abs().log(); x.abs().sqrt(); x.abs().rsqrt(); x.square(); x.sin(); x.cos()
x.tan(); x.tanh(); x.sigmoid(); x.relu(); x.erf(); x.sign(); x.floor(); x.ceil(); x.round()
x.trunc(); x.atan(); x.sinh(); x.cosh(); x.expm1(); x.reciprocal(); x.abs().log2()
x.abs().log10(); x.exp2(); x.neg(); x.pow(2); x.clamp(0, 1); x.clamp(min=0); x.clip(max=1)
x.maximum(y); x.minimum(y); x.add(1); x.sub(1); x.mul(2); x.div(2); x.eq(y); x.view(4, 3)
x.view(-1); x.reshape(2, 6); x.reshape(-1, 2); x.flatten(); x.view_as(y); x.t(); x.T; x.mT
x.transpose(0, 1); x.permute(1, 0); x.swapaxes(0, 1); x.movedim(0, 1); x.unsqueeze(0)
x.unsqueeze(-1); x.unsqueeze(dim=1); x[None].squeeze(0); x[None].squeeze(); v.expand(3, 4)
v.expand(3, -1); x.repeat(2, 1); x.expand_as(y); x.flip(0); x.flip(dims=(0,)); x.roll(1, 0)
x.unbind(0); x.split(1); x.split([1, 2], dim=0); x.chunk(2, dim=1); x.tril(); x.triu(1)
x[:3, :3].diagonal(); x[:3, :3].trace(); v.outer(v); x.gather(1, np.array([[0], [1], [2]]))
x.index_select(0, np.array([0, 2])); x.take([0, 5]); x.masked_fill(x > 0, 0.0)
x.masked_select(x > 0); x.mm(y.t()); x.matmul(y.T); x.mv(v); v.dot(v); x[None].bmm(y.T[None])
x.addmm(x, mr.eye(4)); x.size(); x.size(0); x.size(-1); x.shape; x.shape[0]; x.dim(); x.ndim
x.numel(); len(x); x.dtype; x.device; x.is_leaf; x.requires_grad; x.grad; x.grad_fn; x.nbytes
x.itemsize; x.float(); x.double(); x.half(); z.long(); z.int(); z.bool(); x.to(np.float64)
x.to("float64"); x.to(mr.float64); x.to(y); x.type_as(y); x.cpu(); x.detach(); x.clone()
x.contiguous(); x.detach().numpy(); x.detach().cpu().numpy(); x.tolist(); x.sum().item()
float(x.sum()); bool(x.sum() > 0); round(float(x.sum()), 2); str(x); repr(x); x.requires_grad_()
z.requires_grad_(True); x.retain_grad(); x.register_hook(lambda g: g); x.sum().backward()
(x * y).sum().backward(retain_graph=True); x.backward(mr.ones(3, 4)); [row for row in x]
max(x.tolist()); np.asarray(x.detach()); hash(x); x is x; mr.tensor([1.0, 2.0]); mr.tensor([1, 2])
mr.tensor(1.0, requires_grad=True); mr.tensor([1, 2], dtype=mr.float64); mr.as_tensor([1.0])
mr.Tensor([1, 2], dtype=mr.float32); mr.zeros(2, 3); mr.zeros((2, 3)); mr.ones(2)
mr.full((2, 2), 7.0); mr.eye(3); mr.arange(5); mr.arange(0, 1, 0.25); mr.linspace(0, 1, 5)
mr.zeros_like(x); mr.ones_like(x); mr.full_like(x, 2.0); mr.rand(2, 3); mr.randn(2, 3)
mr.randn(2, 3, requires_grad=True); mr.randint(0, 10, (3,)); mr.randperm(5); mr.rand_like(x)
mr.zeros(3, device="cpu"); mr.randn(2, device=x.device, requires_grad=True); mr.randint(5, (3,))
mr.randint(0, 5, size=(3,)); x.sum(dtype=mr.float64); F.softmax(x, dim=1, dtype=mr.float64)
x.var(unbiased=False); x.flatten(start_dim=0); x.add(y, alpha=2); x.div(2, rounding_mode="floor")
x.round(decimals=1); x.diagonal(1); x.nonzero(as_tuple=True); x[x.nonzero(as_tuple=True)]
mr.randn_like(x); mr.manual_seed(0); mr.from_numpy(np.ones(3)); mr.cat([x, y])
mr.cat((x, y), dim=1); mr.stack([x, y]); mr.stack([x, y], dim=-1); mr.concat([x, y])
mr.where(x > 0, x, y); mr.split(x, 2); mr.chunk(x, 2); mr.einsum("ij,kj->ik", x, y)
mr.gather(x, 1, np.array([[0], [1], [2]])); mr.exp(x); mr.log(x.abs()); mr.sqrt(x.abs())
mr.abs(x); mr.sum(x); mr.sum(x, dim=0); mr.mean(x, dim=1); mr.max(x); mr.min(x); mr.maximum(x, y)
mr.minimum(x, y); mr.matmul(x, y.T); mr.mm(x, y.T); mr.dot(v, v); mr.outer(v, v); mr.sigmoid(x)
mr.tanh(x); mr.relu(x); mr.softmax(x, dim=1); mr.log_softmax(x, dim=-1); mr.logsumexp(x, dim=1)
mr.argmax(x, dim=1); mr.clamp(x, 0, 1); mr.clamp(x, min=0); mr.flatten(x); mr.reshape(x, (4, 3))
mr.squeeze(x); mr.unsqueeze(x, 0); mr.transpose(x, 0, 1); mr.permute(x, (1, 0)); mr.norm(x)
mr.var(x); mr.std(x); mr.cumsum(x, 0); mr.sort(x); mr.topk(x, 2); mr.allclose(x, x)
mr.equal(x, x); mr.isnan(x); mr.eq(x, y); mr.all(x > 0); mr.any(x > 0); mr.round(x); mr.sin(x)
mr.pow(x, 2); mr.square(x); mr.sign(x); mr.tril(x); mr.triu(x); mr.flip(x, (0,)); mr.roll(x, 1)
mr.t(x); mr.numel(x); mr.bmm(x[None], y.T[None]); mr.addmm(x, x, mr.eye(4)); mr.no_grad()
mr.enable_grad(); mr.inference_mode(); mr.is_grad_enabled(); mr.float32; mr.float64; mr.int64
mr.long; mr.pi; mr.inf; mr.nan; mr.Function; mr.nn.functional.relu(x); mr.floor_divide(x, 2)
mr.remainder(x, 2); F.relu(x); F.sigmoid(x); F.tanh(x); F.gelu(x); F.leaky_relu(x, 0.1); F.elu(x)
F.selu(x); F.silu(x); F.softplus(x); F.softmax(x, dim=1); F.log_softmax(x, dim=1); F.logsigmoid(x)
F.relu6(x); F.hardtanh(x); F.hardswish(x); F.mish(x); F.dropout(x, 0.5); F.dropout(x, p=0.5)
F.linear(x, mr.randn(4, 2)); F.mse_loss(x, y); F.l1_loss(x, y); F.smooth_l1_loss(x, y)
F.huber_loss(x, y); F.cross_entropy(x, np.array([0, 1, 2])); F.nll_loss(x, np.array([0, 1, 2]))
F.cross_entropy(x, mr.tensor([0, 1, 2]), reduction="sum"); F.kl_div(x, y.softmax(1))
F.cross_entropy(x, np.array([0, 1, 2]), weight=np.ones(4, "f4"))
F.cross_entropy(x, np.array([0, -100, 2]), ignore_index=-100); F.cross_entropy(x, y.softmax(1))
F.binary_cross_entropy(x.sigmoid(), y.sigmoid().detach()); F.one_hot(labels, 5)
F.binary_cross_entropy_with_logits(x, mr.zeros(3, 4)); F.pad(x, (1, 1)); F.normalize(x, dim=1)
F.cosine_similarity(x, y); F.layer_norm(x, (4,)); F.group_norm(images, 3)
F.embedding(labels, x[:, :1].repeat(2, 1))
F.conv2d(images, mr.randn(3, 3, 3, 4), stride=2, padding=1); F.max_pool2d(images, 2)
F.conv2d(images, mr.randn(3, 3, 3, 4), bias=mr.zeros(4)); F.avg_pool2d(images, 2, 2)
F.conv_transpose2d(images, mr.randn(2, 2, 5, 3), stride=2); F.adaptive_avg_pool2d(images, 1)
F.interpolate(images, scale_factor=2); F.interpolate(images, size=(4, 4), mode="bilinear")
F.scaled_dot_product_attention(x[None], y[None], y[None]); F.instance_norm(images)
nn.Linear(4, 2)(x); nn.Linear(4, 2, bias=False); nn.Conv2d(3, 8, 3, padding=1)(images)
nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False); nn.Conv2d(3, 6, 3, groups=3)(images)
nn.Conv2d(3, 8, 3, dilation=2)(images); nn.Conv2d(3, 8, kernel_size=3, padding="same")(images)
nn.ConvTranspose2d(3, 8, 2, stride=2)(images); nn.MaxPool2d(2)(images); nn.AvgPool2d(2)(images)
nn.MaxPool2d(kernel_size=3, stride=2, padding=1, ceil_mode=True)(images); nn.Identity()(x)
nn.AdaptiveAvgPool2d((1, 1))(images); nn.AdaptiveMaxPool2d(2)(images); nn.Flatten()(images)
nn.BatchNorm1d(4)(x); nn.BatchNorm2d(3)(images); nn.LayerNorm(4)(x); nn.GroupNorm(3, 3)(images)
nn.InstanceNorm2d(3)(images); nn.RMSNorm(4)(x); nn.Embedding(10, 3)(labels); nn.Dropout(0.5)(x)
nn.ReLU()(x); nn.ReLU(inplace=True)(x); nn.Sigmoid()(x); nn.Tanh()(x); nn.Softmax(dim=1)(x)
nn.LogSoftmax(dim=1)(x); nn.GELU()(x); nn.SiLU()(x); nn.LeakyReLU(0.2)(x); nn.ELU()(x)
nn.PReLU()(x); nn.Softplus()(x); nn.Hardtanh()(x); nn.Mish()(x); nn.SELU()(x); nn.ReLU6()(x)
nn.CrossEntropyLoss()(x, np.array([0, 1, 2])); nn.CrossEntropyLoss(label_smoothing=0.1)
nn.MSELoss()(x, y); nn.L1Loss()(x, y); nn.SmoothL1Loss()(x, y); nn.HuberLoss()(x, y)
nn.NLLLoss()(x, np.array([0, 1, 2])); nn.BCEWithLogitsLoss()(x, mr.zeros(3, 4)); nn.BCELoss()
nn.KLDivLoss(reduction="batchmean")(x, y.softmax(1)); nn.Parameter(mr.zeros(3))
nn.Sequential(nn.Linear(4, 4), nn.ReLU()); nn.ModuleList([nn.ReLU()])
nn.ModuleDict({"a": nn.ReLU()}); nn.ParameterList([nn.Parameter(mr.zeros(3))])
nn.init.kaiming_normal_(model[0].weight); nn.init.xavier_uniform_(model[4].weight)
nn.init.zeros_(model[4].bias); nn.init.ones_(v.detach())
nn.init.normal_(model[4].weight, std=0.01); nn.init.constant_(model[4].bias, 0.5)
nn.init.kaiming_uniform_(model[4].weight, nonlinearity="relu"); nn.init.uniform_(model[4].weight)
nn.utils.clip_grad_norm_(model.parameters(), 1.0)
nn.utils.clip_grad_value_(model.parameters(), 1.0)
nn.utils.parameters_to_vector(model.parameters()); model.train(); model.eval(); model.training
model.zero_grad(); model.parameters(); model.named_parameters(); model.state_dict(); model[0]
model.load_state_dict(model.state_dict()); model.modules(); model.children()
model.named_children(); model.named_modules(); model.apply(lambda m: None); model.to(np.float64)
model.double(); model.float(); model.requires_grad_(False); model.buffers(); model.named_buffers()
next(model.parameters()).device; sum(p.numel() for p in model.parameters()); model[0].weight.grad
model[0].weight.data; len(model); model.append(nn.ReLU()); model.add_module("last", nn.ReLU())
model.get_submodule("0"); print(model); model.register_forward_hook(lambda m, i, o: None)
model.register_buffer("b", mr.zeros(3)); model[0].weight.requires_grad_(False)
[m for m in model.modules() if isinstance(m, nn.Conv2d)]
optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, nesterov=True); opt.step()
optim.Adam(model.parameters()); optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.99))
optim.AdamW(model.parameters(), weight_decay=0.01); opt.zero_grad()
opt.zero_grad(set_to_none=True); opt.param_groups; opt.param_groups[0]["lr"]
opt.param_groups[0].update(lr=0.01); opt.state_dict(); opt.load_state_dict(opt.state_dict())
optim.SGD([{"params": model.parameters(), "lr": 0.1}], lr=1)
optim.lr_scheduler.StepLR(opt, step_size=30, gamma=0.1).step()
optim.lr_scheduler.ExponentialLR(opt, 0.9)
optim.lr_scheduler.MultiStepLR(opt, [30, 60]).get_last_lr(); optim.lr_scheduler.LinearLR(opt)
optim.lr_scheduler.CosineAnnealingLR(opt, T_max=100)
optim.lr_scheduler.LambdaLR(opt, lambda e: 0.9**e)
optim.lr_scheduler.OneCycleLR(opt, 0.1, total_steps=100); optim.lr_scheduler.ConstantLR(opt)
optim.lr_scheduler.ReduceLROnPlateau(opt).step(1.0); loss.item(); float(loss); loss.detach()
mr.float; mr.int; mr.bool; np.ones(4) * x; np.ones((3, 4), "f4") @ v; np.float32(2) * x
np.add(x, y); nn.init.trunc_normal_(model[4].weight, std=0.02)
nn.init.orthogonal_(model[4].weight); opt.param_groups[0]["params"]; x.flip(dims=[0, 1])
int(z.sum()); f"{loss:.3f}"; round(loss, 2); data.TensorDataset(x, y)
data.DataLoader(data.TensorDataset(z, z), batch_size=2, shuffle=True)
data.random_split(data.TensorDataset(z), [2, 1]); data.Subset(data.TensorDataset(z), [0, 2])
data.Dataset("own", z, [0, 1, 1])
"""
"""Lines that work as they are; parted by semicolons."""

LINES = [line.strip() for line in WORK.replace("\n", ";").split(";") if line.strip()]

INSTEAD = {
    "x.cuda()": "minires.use('cupy')",
    "x.to('cuda')": "minires.use(",
    "x.to('cuda:0')": "minires.use(",
    "model.cuda()": "minires.use('cupy')",
    "model.to('cuda')": "minires.use(",
    "mr.device('cuda')": "minires.use('cupy')",
    "mr.cuda.is_available()": "minires.backend.problem('cupy')",
    "mr.cuda.device_count()": "minires.backend.problem('cupy')",
    "mr.cuda.empty_cache()": "leave it out",
    "mr.cuda.synchronize()": "leave it out",
    "x.zero_()": "x.data[...] = 0",
    "x.fill_(1.0)": "x.data[...] = value",
    "x.add_(1)": "x = x + y",
    "x.sub_(1)": "x = x - y",
    "x.mul_(2)": "x = x * y",
    "x.copy_(y)": "x.data[...] = other",
    "x.clamp_(0, 1)": "x = x.clip(low, high)",
    "x.uniform_(0, 1)": "minires.nn.init.uniform_",
    "x.normal_()": "minires.nn.init.normal_",
    "x.detach_()": "x = x.detach()",
    "x.scatter_(1, y, 1)": "one_hot",
    "x.new_zeros(3)": "minires.zeros(",
    "x.bernoulli()": "minires.rand(",
    "x.multinomial(3)": "generator().choice",
    "x.median()": "np.median",
    "x.quantile(0.5)": "np.quantile",
    "x.unique()": "np.unique",
    "x.bincount()": "np.bincount",
    "x.det()": "np.linalg.det",
    "x.inverse()": "np.linalg.inv",
    "x.svd()": "np.linalg.svd",
    "x.stride()": "x.data.strides",
    "x.is_contiguous()": "c_contiguous",
    "x.is_cuda": "backend.current()",
    "x.is_floating_point()": "x.dtype.kind",
    "x.data_ptr()": "x.data.ctypes.data",
    "x.storage()": "x.data",
    "x.bfloat16()": "set_precision('bf16')",
    "x.repeat_interleave(2)": "minires.stack([x] * n",
    "x.lerp(y, 0.5)": "x + share * (y - x)",
    "x.cumprod(0)": "np.cumprod",
    "x.unfold(0, 2, 1)": "conv2d",
    "x.logical_and(y)": "(x != 0) & (y != 0)",
    "x.nan_to_num()": "minires.where(x.isnan()",
    "x.count_nonzero()": "(x != 0).sum()",
    "x.index_add_(0, y, x)": "np.add.at",
    "x.max(dim=1).indices": "x.argmax(axis)",
    "x.min(dim=1).values": "are the values",
    "x.softmx(1)": "did you mean 'softmax'",
    "x.reshpe(2, 6)": "did you mean 'reshape'",
    "x.cross_entropy(y)": "minires.functional.cross_entropy",
    "x.max_pool2d(2)": "minires.functional.max_pool2d",
    "x[0] = 1": "cannot be assigned",
    "x += 1": "inside `with no_grad():`",
    "x.view(5, 5)": "do not fit into (5, 5)",
    "x.backward()": "reduce it with mean() or sum()",
    "mr.FloatTensor([1.0])": "minires.Tensor(data)",
    "mr.LongTensor([1])": "minires.int64",
    "mr.set_default_dtype(mr.float64)": "model.double()",
    "mr.set_grad_enabled(False)": "minires.no_grad()",
    "mr.autograd.grad(x.sum(), x)": "y.backward()",
    "mr.autograd.Function": "minires.Function",
    "mr.jit.script(model)": "leave it out",
    "mr.compile(model)": "leave it out",
    "mr.utils.data.DataLoader": "minires.data",
    "mr.linalg.norm(x)": "x.norm()",
    "mr.fft.fft(x)": "np.fft.fft",
    "mr.distributions.Normal(0, 1)": "minires.randn",
    "mr.Generator()": "minires.seed(n)",
    "mr.get_num_threads()": "NUMBA_NUM_THREADS",
    "mr.set_num_threads(1)": "NUMBA_NUM_THREADS",
    "mr.use_deterministic_algorithms(True)": "leave it out",
    "mr.is_tensor(x)": "isinstance(x, minires.Tensor)",
    "mr.empty(3)": "minires.zeros(",
    "mr.finfo(mr.float32)": "np.finfo",
    "mr.meshgrid(v, v)": "np.meshgrid",
    "mr.hstack([x, y])": "minires.cat([x, y], 1)",
    "mr.vstack([x, y])": "minires.cat([x, y], 0)",
    "mr.tensordot(x, y)": "minires.einsum",
    "mr.cdist(x, y)": "x[:, None] - y[None]",
    "mr.normal(0, 1)": "minires.randn",
    "mr.bernoulli(x)": "minires.rand(",
    "mr.Size([1])": "tuples",
    "mr.vmap(F.relu)": "whole batches",
    "mr.onnx.export(model)": "to_torch_state_dict",
    "mr.hub.load('x')": "load_torch_state_dict",
    "mr.profiler.profile()": "minires bench --per-op",
    "mr.distributed.init_process_group()": "processes",
    "mr.backends.cudnn.benchmark": "minires.use('cupy')",
    "mr.flaot32": "did you mean 'float32'",
    "mr.cross_entropy(x, labels)": "minires.functional.cross_entropy",
    "mr.Linear(2, 2)": "minires.nn.Linear",
    "mr.Adam(model)": "minires.optim.Adam",
    "mr.DataLoader": "minires.data",
    "F.stack([x, y])": "minires.stack",
    "F.cat([x, y])": "minires.cat",
    "F.where(x > 0, x, y)": "minires.where",
    "F.matmul(x, y)": "minires.matmul",
    "F.einsum('ij->j', x)": "minires.einsum",
    "F.conv1d(x, y)": "(N, 1, L, C)",
    "F.conv3d(x, y)": "(N, H, W, C)",
    "F.dropout2d(x)": "dropout(",
    "F.upsample(images, 2)": "interpolate",
    "F.unfold(images, 3)": "conv2d",
    "F.grid_sample(images, x)": "interpolate",
    "F.pixel_shuffle(images, 2)": "unflatten",
    "F.softmin(x, 1)": "softmax(-x, axis)",
    "F.glu(x)": "b.sigmoid()",
    "F.triplet_margin_loss(x, y, x)": "margin",
    "F.cosine_embedding_loss(x, y, 1)": "cosine_similarity",
    "F.ctc_loss(x, y)": "cross_entropy",
    "F.pairwise_distance(x, y)": "(a - b).norm(2, 1)",
    "F.bce_with_logits(x, y)": "binary_cross_entropy_with_logits",
    "F.CrossEntropyLoss()": "minires.nn.CrossEntropyLoss",
    "F.conv2d(mr.randn(2, 3, 8, 8), mr.randn(3, 3, 3, 4))": "x.permute(0, 2, 3, 1)",
    "F.conv2d(images, mr.randn(3, 3, 3, 4), mr.zeros(4))": "bias=b",
    "nn.LSTM(3, 4)": "recurrent",
    "nn.GRU(3, 4)": "recurrent",
    "nn.RNN(3, 4)": "recurrent",
    "nn.Conv1d(3, 4, 3)": "(N, 1, L, C)",
    "nn.Conv3d(3, 4, 3)": "(N, H, W, C)",
    "nn.MultiheadAttention(4, 2)": "scaled_dot_product_attention",
    "nn.Transformer()": "scaled_dot_product_attention",
    "nn.Upsample(scale_factor=2)": "interpolate",
    "nn.Dropout2d(0.5)": "Dropout(p)",
    "nn.LazyLinear(3)": "Linear(in_features",
    "nn.ZeroPad2d(1)": "functional.pad",
    "nn.PixelShuffle(2)": "unflatten",
    "nn.DataParallel(model)": "model itself",
    "nn.SyncBatchNorm(3)": "BatchNorm2d",
    "nn.BatchNorm3d(3)": "BatchNorm2d",
    "nn.TripletMarginLoss()": "margin",
    "nn.CTCLoss()": "CrossEntropyLoss",
    "nn.Softmax2d()": "Softmax(dim=-1)",
    "nn.CosineSimilarity()": "cosine_similarity",
    "nn.ParameterDict({})": "ParameterList",
    "nn.relu(x)": "minires.relu",
    "nn.SGD(model)": "minires.optim.SGD",
    "nn.Softmax()": "its arguments are: axis",
    "nn.LeakyReLU(slope=0.1)": "its arguments are: negative_slope",
    "nn.Sequential([nn.ReLU()])": "Sequential(*modules)",
    "nn.Sequential(F.relu)": "nn.ReLU() for F.relu",
    "nn.init.xavier_unifrm_(x)": "did you mean 'xavier_uniform_'",
    "nn.init.eye_(x)": "np.eye",
    "nn.utils.clip_grad_nrm_(x, 1)": "did you mean",
    "nn.Linear(4, 2)(images)": "linear: x has 3 features but w expects 4",
    "nn.Conv2d(3, 4, 3)(x)": "(N,H,W,C)",
    "model.half()": "set_precision('fp16')",
    "model.cpu()": "leave it out",
    "model.device": "backend.current()",
    "model.fit(images)": "for x, labels in loader",
    "model.predict(images)": "argmax",
    "model.summary()": "minires.summary",
    "model.save('x')": "save_weights",
    "model.compile()": "leave it out",
    "model.register_full_backward_hook(print)": "register_hook",
    "model._modules": "named_children()",
    "model._parameters": "named_parameters(recurse=False)",
    "model[0].wieght": "did you mean 'weight'",
    "setattr(model[0], 'weight', np.zeros(3))": "nn.Parameter(...)",
    "setattr(model, 'layers', [nn.ReLU()])": "nn.ModuleList",
    "optim.RMSprop(model.parameters())": "SGD, Adam and AdamW",
    "optim.Adagrad(model.parameters())": "SGD, Adam and AdamW",
    "optim.LBFGS(model.parameters())": "SGD, Adam and AdamW",
    "optim.StepLR(opt, 3)": "minires.optim.lr_scheduler.StepLR",
    "optim.lr_scheduler.CyclicLR(opt)": "LambdaLR",
    "optim.lr_scheduler.SequentialLR(opt)": "LambdaLR",
    "optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, 3)": "LambdaLR",
    "optim.swa_utils": "load_state_dict",
    "optim.clip_grad_norm_(model.parameters(), 1)": "minires.nn.utils.clip_grad_norm_",
    "opt.lr_scheduler": "optim.lr_scheduler.StepLR",
    "data.WeightedRandomSampler": "generator().choice",
    "data.RandomSampler": "shuffle=True",
    "data.datasets.MNIST": "load_cifar10",
    "data.transforms.ToTensor": "augment",
    "data.ConcatDataset": "np.concatenate",
    "np.concatenate([x, y])": "mr.cat",
    "np.stack([x, y])": "mr.stack",
    "np.where(x > 0, x, y)": "mr.where",
    "np.sum(x)": "x.sum(",
    "np.exp(x)": "x.exp()",
    "np.maximum(x, 0)": "x.maximum(y)",
    "mr.Tensor([x, y])": "mr.stack",
}
"""Lines that do not work -> a part of the sentence, which says what to write."""
