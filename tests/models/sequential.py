"""Networks of tokens in plain PyTorch: transformers, an MLP-Mixer, recurrent classifiers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """A transformer block before which layer norm stands."""

    def __init__(self, units: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(units), nn.LayerNorm(units)
        self.attn = nn.MultiheadAttention(units, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(units, hidden), nn.GELU(), nn.Dropout(0.1), nn.Linear(hidden, units))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """An image as tokens with a class token (Dosovitskiy et al., 2021)."""

    def __init__(self, classes: int = 5, units: int = 6) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, units, 4, stride=4)
        self.cls_token = nn.Parameter(torch.randn(1, 1, units))
        self.pos_embed = nn.Parameter(torch.randn(1, 7, units))
        self.blocks = nn.ModuleList([Block(units, 2, 10), Block(units, 3, 11)])
        self.norm = nn.LayerNorm(units)
        self.head = nn.Linear(units, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class HandAttention(nn.Module):
    """Attention spelled out, as many repositories have it."""

    def __init__(self, units: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (units // heads) ** -0.5
        self.qkv, self.proj = nn.Linear(units, 3 * units), nn.Linear(units, units)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, units = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, units // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        weights = (q @ k.transpose(-2, -1) * self.scale).softmax(dim=-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(batch, tokens, units))


class HandTransformer(nn.Module):
    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.embed, self.attn, self.norm = nn.Linear(5, 8), HandAttention(8, 2), nn.LayerNorm(8)
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        x = self.norm(x + self.attn(x))
        return self.head(x.mean(1))


class Encoder(nn.Module):
    """A text classifier on torch's own transformer encoder."""

    def __init__(self, words: int = 13, units: int = 6, classes: int = 3, norm_first: bool = False) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, units)
        self.register_buffer("positions", torch.randn(7, units))
        layer = nn.TransformerEncoderLayer(
            units, 3, 11, dropout=0.1, activation="gelu", batch_first=True, norm_first=norm_first
        )
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(units), enable_nested_tensor=False)
        self.head = nn.Linear(units, classes)

    def forward(self, words: Tensor) -> Tensor:
        x = self.embed(words) + self.positions[: words.shape[1]]
        return self.head(self.encoder(x).mean(dim=1))


class Mixing(nn.Module):
    def __init__(self, tokens: int, units: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(units), nn.LayerNorm(units)
        self.tokens = nn.Sequential(nn.Linear(tokens, 5), nn.GELU(), nn.Linear(5, tokens))
        self.units = nn.Sequential(nn.Linear(units, 11), nn.GELU(), nn.Linear(11, units))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.units(self.norm2(x))


class Mixer(nn.Module):
    """MLP-Mixer (Tolstikhin et al., 2021)."""

    def __init__(self, classes: int = 3, units: int = 7) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, units, 4, stride=4)
        self.blocks = nn.Sequential(Mixing(6, units), Mixing(6, units))
        self.norm, self.head = nn.LayerNorm(units), nn.Linear(units, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).permute(0, 2, 1)
        return self.head(self.norm(self.blocks(x)).mean(dim=1))


class LSTMClassifier(nn.Module):
    def __init__(self, words: int = 13, classes: int = 4) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, 5, padding_idx=0)
        self.lstm = nn.LSTM(5, 7, num_layers=2, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(14, classes)

    def forward(self, words: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(self.embed(words))
        return self.fc(torch.cat([hidden[-2], hidden[-1]], dim=1))


class GRUClassifier(nn.Module):
    """With time first, and a state that starts from explicit zeros."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.gru, self.fc = nn.GRU(5, 6, num_layers=2), nn.Linear(6, classes)

    def forward(self, x: Tensor) -> Tensor:
        start = torch.zeros(2, x.shape[0], 6, dtype=x.dtype, device=x.device)
        out, _ = self.gru(x.transpose(0, 1), start)
        return F.log_softmax(self.fc(out[-1]), dim=-1)
