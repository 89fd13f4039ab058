"""Other convolutional networks in plain PyTorch: VGG, MobileNetV2, DenseNet, U-Net, squeeze and excitation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class VGG(nn.Module):
    """VGG with batch norm (Simonyan and Zisserman, 2015)."""

    def __init__(self, widths: tuple[int | str, ...] = (5, "M", 7, 6, "M"), classes: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for width in widths:
            if isinstance(width, str):
                layers.append(nn.MaxPool2d(2, 2))
            else:
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
                inputs = width
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(nn.Linear(inputs * 4, 11), nn.ReLU(True), nn.Dropout(), nn.Linear(11, classes))

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))
        return self.classifier(torch.flatten(x, 1))


class Inverted(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, expand: int) -> None:
        super().__init__()
        hidden = inputs * expand
        self.residual = stride == 1 and inputs == outputs
        layers: list[nn.Module] = []
        if expand != 1:
            layers += [nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(inplace=True)]
        layers += [
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    """Inverted residuals with depthwise convolutions (Sandler et al., 2018)."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU6(inplace=True)),
            Inverted(6, 5, 1, 1),
            Inverted(5, 7, 2, 3),
            Inverted(7, 7, 1, 2),
            nn.Sequential(nn.Conv2d(7, 13, 1, bias=False), nn.BatchNorm2d(13), nn.ReLU6(inplace=True)),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(13, classes))

    def forward(self, x: Tensor) -> Tensor:
        x = F.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(torch.flatten(x, 1))


class Dense(nn.Module):
    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, 2 * growth, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(2 * growth), nn.Conv2d(2 * growth, growth, 3, padding=1, bias=False)

    def forward(self, features: list[Tensor]) -> Tensor:
        out = self.conv1(F.relu(self.norm1(torch.cat(features, 1))))
        return self.conv2(F.relu(self.norm2(out)))


class DenseNet(nn.Module):
    """Every layer reads all before it (Huang et al., 2017)."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 3, padding=1, bias=False)
        self.block1 = nn.ModuleList([Dense(5, 4), Dense(9, 4)])
        self.transition = nn.Sequential(nn.BatchNorm2d(13), nn.ReLU(), nn.Conv2d(13, 6, 1), nn.AvgPool2d(2, 2))
        self.block2 = nn.ModuleList([Dense(6, 3), Dense(9, 3)])
        self.norm = nn.BatchNorm2d(12)
        self.classifier = nn.Linear(12, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.transition(self._block(self.block1, self.stem(x)))
        x = F.relu(self.norm(self._block(self.block2, x)), inplace=True)
        return self.classifier(x.mean([2, 3]))

    @staticmethod
    def _block(layers: nn.ModuleList, x: Tensor) -> Tensor:
        features = [x]
        for layer in layers:
            features.append(layer(features))
        return torch.cat(features, dim=1)


def _double(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
    )  # fmt: skip


class UNet(nn.Module):
    """Down, up, and skips between (Ronneberger et al., 2015): transposed convolution, and bilinear upsampling."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.down1, self.down2, self.middle = _double(1, 3), _double(3, 5), _double(5, 7)
        self.pool = nn.MaxPool2d(2)
        self.up2, self.conv2 = nn.ConvTranspose2d(7, 5, 2, stride=2), _double(10, 4)
        self.up1, self.conv1 = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), _double(7, 3)
        self.head = nn.Conv2d(3, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        one = self.down1(x)
        two = self.down2(self.pool(one))
        x = self.middle(self.pool(two))
        x = self.conv2(torch.cat([two, self.up2(x)], dim=1))
        x = self.conv1(torch.cat([self.up1(x), one], dim=1))
        return self.head(x)


class Excite(nn.Module):
    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, squeezed), nn.Linear(squeezed, channels)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, _, _ = x.shape
        gate = F.adaptive_avg_pool2d(x, 1).view(batch, channels)
        gate = torch.sigmoid(self.fc2(F.relu(self.fc1(gate)))).view(batch, channels, 1, 1)
        return x * gate.expand_as(x)


class SENet(nn.Module):
    """Squeeze and excitation (Hu et al., 2018), by linear layers and by convolutions of one pixel."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.conv1, self.bn1, self.excite = nn.Conv2d(3, 7, 3), nn.BatchNorm2d(7), Excite(7, 2)
        self.conv2, self.bn2 = nn.Conv2d(7, 7, 3, padding=1), nn.BatchNorm2d(7)
        self.squeeze, self.spread = nn.Conv2d(7, 4, 1), nn.Conv2d(4, 7, 1)
        self.fc = nn.Linear(7, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.excite(F.relu(self.bn1(self.conv1(x))))
        out = self.bn2(self.conv2(x))
        gate = F.silu(self.squeeze(out.mean((2, 3), keepdim=True)))
        x = F.relu(x + out * self.spread(gate).sigmoid())
        return self.fc(x.mean(dim=(-2, -1)))


class Autoencoder(nn.Module):
    """An encoder and a decoder, by convolutions and linear layers."""

    def __init__(self, code: int = 3) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 4, 3, 2, 1), nn.LeakyReLU(0.1), nn.Flatten(), nn.Linear(4 * 4 * 5, 9), nn.Tanh(),
            nn.Linear(9, code),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(code, 6 * 4 * 5), nn.ELU(), nn.Unflatten(1, (6, 4, 5)),
            nn.ConvTranspose2d(6, 1, 3, 2, 1, output_padding=1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        code = self.encoder(x)
        return self.decoder(code), code
