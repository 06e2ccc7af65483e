"""The training step by PyTorch, in one of `entries.WAYS`."""

import torch

from minires import backend
from minires.benchmarks.clocks import Clock, TorchClock
from minires.benchmarks.entries import SGD, Entry
from minires.benchmarks.steps import Step, batch_of, initial_model
from minires.benchmarks.torch_resnet import TorchResNet
from minires.interop import to_torch_state_dict

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class TorchStep(Step):
    """Without needless copies, with PyTorch's fused SGD; on a GPU products are in tf32."""

    def __init__(self, entry: Entry):
        super().__init__(entry, TorchClock() if entry.on_gpu else Clock())
        torch.set_num_threads(entry.threads)
        if entry.on_gpu:
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
            torch.backends.cudnn.benchmark = True
        self.way, device = entry.way, entry.device
        layout = torch.channels_last if self.way.channels_last else torch.contiguous_format
        self.model = _network(entry).to(device, memory_format=layout)
        x, labels = batch_of(entry)
        x = torch.tensor(x, device=device).permute(0, 3, 1, 2)
        self.x = x.contiguous(memory_format=layout)
        self.labels = torch.tensor(labels, device=device)
        self.sgd = torch.optim.SGD(self.model.parameters(), **SGD, fused=True)
        self.dtype = DTYPES.get(self.way.half)
        self.scaler = torch.amp.GradScaler(device) if self.way.half == "fp16" else None
        self.forward = self.model
        if mode := self.way.compiled:
            # Otherwise a second batch size is compiled for batches of any size.
            self.forward = torch.compile(self.model, mode=mode, dynamic=False)

    def _first(self) -> float:
        loss = self._step().item()
        if self.way.graph:
            self._run = self._captured()
        return loss

    def _step(self):
        self.sgd.zero_grad()
        with torch.autocast(self.entry.device, self.dtype, enabled=self.dtype is not None):
            loss = torch.nn.functional.cross_entropy(self.forward(self.x), self.labels)
        if self.scaler is None:
            loss.backward()
            self.sgd.step()
        else:
            self.scaler.scale(loss).backward()
            self.scaler.step(self.sgd)
            self.scaler.update()
        return loss.detach()

    def _captured(self):
        """The step as a CUDA graph, as PyTorch's documentation has it: three steps aside first."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self._step()
        torch.cuda.current_stream().wait_stream(stream)
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            self._step()
        return captured.replay

    def per_operation(self, steps: int) -> dict[str, float]:
        from torch.profiler import ProfilerActivity, profile

        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            whole = sum(self.seconds(steps))
        events = profiler.key_averages()
        seconds = {event.key: event.self_cpu_time_total / 1e6 for event in events}
        seconds["the rest"] = max(0.0, whole - sum(seconds.values()))
        return {name: total / steps for name, total in seconds.items()}


def _network(entry: Entry) -> TorchResNet:
    """The same network with the same weights."""
    with backend.use("numpy"):
        model = initial_model(entry)
    network, state = TorchResNet.like(model), to_torch_state_dict(model.state_dict())
    network.load_state_dict({k: torch.tensor(v) for k, v in state.items()}, strict=False)
    return network
