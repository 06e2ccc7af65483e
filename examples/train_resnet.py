"""Train a ResNet-20, the page of the README as a program.

    python examples/train_resnet.py --epochs 6

The data are the built-in shapes, so nothing is downloaded. With `load_cifar10("data",
download=True)` instead of `load_shapes()` it is CIFAR-10.
"""

import argparse

import minires as mr
from minires import functional as F
from minires import models, optim
from minires.data import Loader, Normalization, load_shapes
from minires.training import evaluate

parser = argparse.ArgumentParser(description="Train a ResNet on the built-in shapes.")
parser.add_argument("--model", default="resnet20")
parser.add_argument("--epochs", type=int, default=6)
parser.add_argument("--images", type=int, default=5000)
parser.add_argument("--backend", default="auto")
options = parser.parse_args()

mr.use(options.backend)
mr.seed(0)
train, test = load_shapes(options.images, options.images // 5)
norm = Normalization.make("per-pixel", train.images)
loader = Loader(train, norm, batch_size=128, shuffle=True, augment=True)

model = models.build(options.model)
sgd = optim.SGD(model, lr=0.1, momentum=0.9, weight_decay=1e-4)
total = options.epochs * len(loader)
schedule = optim.step_decay(0.1, milestones=(total // 2, total * 3 // 4))

iteration = 0
for epoch in range(options.epochs):
    for x, labels in loader.batches(epoch):
        loss = F.cross_entropy(model(x), labels)
        sgd.zero_grad()
        loss.backward()
        sgd.lr = schedule(iteration)
        sgd.step()
        iteration += 1
    test_loss, accuracy = evaluate(model, test, norm)
    print(f"epoch {epoch + 1}: test accuracy {100 * accuracy:.1f} %")
