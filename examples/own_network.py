"""A network of your own: convolutions with a shortcut, trained on the built-in shapes.

    python examples/own_network.py

A Module holds Parameters and other Modules, and says in `forward` what it computes. The rest is
there: `model(x)`, `model.train()`, `model.eval()`, `model.state_dict()`.
"""

import minires as mr
from minires import functional as F
from minires import nn, optim
from minires.data import Loader, Normalization, load_shapes
from minires.training import evaluate


class SmallNet(nn.Module):
    """Three convolutions, the third around a shortcut. x (N, H, W, 3) to logits (N, classes)."""

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, stride=2, padding=1)
        self.second = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.third = nn.Conv2d(2 * width, 2 * width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(2 * width)
        self.linear = nn.Linear(2 * width, classes)

    def forward(self, x):
        x = F.relu(self.second(F.relu(self.first(x))))
        x = F.relu(x + self.norm(self.third(x)))  # the shortcut is a plus sign
        return self.linear(F.global_avg_pool2d(x))


mr.use("numpy")
mr.seed(0)
train, test = load_shapes(1000, 200, image_size=16)
norm = Normalization.make("per-pixel", train.images)
loader = Loader(train, norm, batch_size=50, shuffle=True)

model = SmallNet(width=16, classes=10)
print(f"{model}\n{model.num_parameters():,} parameters")
optimizer = optim.Adam(model, lr=0.01)

for epoch in range(5):
    for x, labels in loader.batches(epoch):
        loss = F.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    _, accuracy = evaluate(model, test, norm)
    print(f"epoch {epoch + 1}: loss {loss.item():.3f}, test accuracy {100 * accuracy:.1f} %")
