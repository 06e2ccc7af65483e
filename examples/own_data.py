"""Data of your own: arrays in, batches out, weights saved and loaded.

Grey images of stripes are made here; yours come from files. Then a table, in PyTorch's words.
"""

import tempfile
from pathlib import Path

import numpy as np

import minires as mr
from minires import functional as F
from minires import nn, optim
from minires.data import DataLoader, Dataset, Loader, Normalization, TensorDataset, random_split
from minires.training import evaluate, load_weights, save_weights

mr.seed(0)
rng = np.random.default_rng(0)

stripes = np.sin(np.arange(12) * rng.uniform(0.8, 1.6, (600, 1)))[:, :, None] * np.ones(12)
labels = rng.integers(0, 2, 600).astype("i2")
images = np.where(labels[:, None, None] == 0, stripes, stripes.transpose(0, 2, 1))
images = (127 + 60 * images + rng.normal(0, 40, images.shape)).clip(0, 255).astype(np.uint8)

train, test = random_split(Dataset("stripes", images, labels, ("lying", "upright")), (500, 100))
norm = Normalization.make("per-pixel", train.images)
loader = Loader(train, norm, 50, shuffle=True, transform=lambda x: x + 0.05 * mr.randn(*x.shape))
print(loader)

model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.GlobalAvgPool2d(), nn.Linear(8, 2))
adam = optim.Adam(model, lr=0.02)
for _ in range(6):
    for x, y in loader:
        loss = F.cross_entropy(model(x), y)
        adam.zero_grad()
        loss.backward()
        adam.step()
print(f"loss {loss:.3f}, {100 * evaluate(model, test, norm)[1]:.0f} % of the test images are right")

with tempfile.TemporaryDirectory() as folder:
    save_weights(Path(folder) / "stripes.safetensors", model, norm)
    norm = load_weights(Path(folder) / "stripes.safetensors", model)
print("image 0 is", test.classes[model(norm(test.images[:1])).argmax(-1).item()])

# A table with targets
inputs = rng.standard_normal((200, 3)).astype(np.float32)
targets = inputs @ np.array([[1.0], [-2.0], [0.5]], np.float32) + 3
line = nn.Linear(3, 1)
sgd = optim.SGD(line, lr=0.1)
for _ in range(20):
    for x, y in DataLoader(TensorDataset(inputs, targets), batch_size=20, shuffle=True):
        sgd.zero_grad()
        F.mse_loss(line(x), y).backward()
        sgd.step()
print("found:", line.weight.numpy().ravel().round(2), line.bias.numpy().round(2))
