"""Read from a module of timm's on the meta device what it is made of.

Every part that the layout can describe is recognised by its class. Anything else is refused by what
it is.
"""

from __future__ import annotations

from typing import Any, Literal

from lmc_core.errors import BadCheckpoint
from lmc_core.lazy_torch import nn
from lmc_core.models.architectures.timm_body import (
    CLASSES,
    SUPPORTED,
    Attends,
    Body,
    Feeds,
    Layers,
    Pools,
    Relative,
)
from lmc_core.symmetry.spaces import Pairs

ACTIVATIONS = {
    "GELU": "gelu",
    "GELUTanh": "gelu_pytorch_tanh",
    "QuickGELU": "quick_gelu",
    "SiLU": "silu",
    "ReLU": "relu",
}


REASONS = {
    "SwinTransformer": "its stages have streams of different widths, joined by norms over several "
    "patches at once",
    "SwinTransformerV2": "norms stand behind its layers, and its stages have streams of different "
    "widths",
    "VisionTransformerSAM": "it attends in windows and adds positions that are multiplied with "
    "its queries",
    "MlpMixer": "it mixes patches by matrices over positions, and has no attention",
    "ConvNeXt": "it is a network of convolutions, whose channels no attention reads",
    "ResNet": "it is a network of convolutions, whose channels no attention reads",
    "Cait": "scores of its heads are mixed before and after the softmax, so that no head can be "
    "moved by itself",
    "NaFlexVit": "it takes patches of images of any shape, where images of one size are expected "
    "here",
}


BLOCKS = {
    "ResPostBlock": "norms behind its layers, whose gains act inside the stream",
    "ResPostRelPosBlock": "norms behind its layers, whose gains act inside the stream",
    "EvaBlockPostNorm": "norms behind its layers, whose gains act inside the stream",
    "DiffParallelScalingBlock": "differential attention, in which two softmaxes of a head are "
    "subtracted",
}


ATTENTIONS = {
    "DiffAttention": "differential attention, in which two softmaxes of a head are subtracted"
}


RELATIVE = ("RelPosMlp", "RelPosBias", "RelativePositionBias")


# name of a block -> name in the module, of tokens before the patches
TOKENS = {
    "class.token": "cls_token",
    "distillation.token": "dist_token",
    "register.tokens": "reg_token",
}
ROTARY_KINDS = ("RotaryEmbeddingCat", "RotaryEmbeddingDinoV3", "RotaryEmbeddingMixed")


def read_body(module: Any, architecture: str, depth: int, classes: int) -> Body:
    """What the module is made of, whose first block stands for all.

    Args:
        module: of timm, on the meta device.
        architecture: its name, for refusals.
        depth: number of blocks of the whole.
        classes: of its head; 0 without one.

    Raises:
        BadCheckpoint: naming the first part that no layout here describes.
    """
    reader = _Reader(architecture)
    reader.whole(module)
    patches = module.patch_embed
    if type(patches).__name__ not in ("PatchEmbed", "HybridEmbed"):
        reader.refuse(f"{type(patches).__name__} for patches")
    if not reader.absent(getattr(patches, "norm", None)):
        reader.refuse("a norm on its patches")
    patch_name, projection, stem = reader.projection(patches)
    tokens = [
        (block, name, getattr(module, name).shape[1])
        for block, name in TOKENS.items()
        if getattr(module, name, None) is not None
    ]
    found = reader.block(module.blocks[0])
    rope = getattr(module, "rope", None)
    attends = found.attends
    reader.rotary(rope, attends.normed)
    half = bool(getattr(getattr(module.blocks[0], "attn", None), "rotate_half", False))
    return Body(
        width=module.embed_dim,
        depth=depth,
        classes=classes,
        attends=attends,
        feeds=found.feeds,
        channels=projection.in_channels if not stem else 0,
        features=projection.in_channels if stem else 0,
        patch=(projection.kernel_size[0], projection.kernel_size[1]),
        patch_name=patch_name,
        patches=patches.num_patches,
        tokens=tuple(tokens),
        pool=module.global_pool,
        positions=getattr(module, "pos_embed", None) is not None,
        apart=bool(getattr(module, "no_embed_class", False)),
        pre_norm=not reader.absent(getattr(module, "norm_pre", None)),
        rms=reader.rms(found.norm),
        last=reader.last(module),
        pairs=None if rope is None else Pairs(attends.size, not half),
        mixed=type(rope).__name__ == "RotaryEmbeddingMixed",
        scales=found.scales,
        relative=found.relative or reader.relative(module),
        pooling=reader.pooling(module),
        parallel=found.parallel,
        several=found.several,
        stem=stem,
    )


class _Reader:
    """Reads parts of a module, and refuses the others by what they are."""

    def __init__(self, architecture: str):
        self.architecture = architecture

    def refuse(self, what: str) -> None:
        raise BadCheckpoint(
            f"timm's {self.architecture!r} has {what}, which is not supported; supported are "
            f"{SUPPORTED}."
        )

    def rotary(self, rope: object, normed: str | None) -> None:
        """Rotary positions, which not all norms on queries and keys go with."""
        if rope is None:
            if normed == "rms":
                self.refuse("RMSNorms on queries and keys without rotary positions")
            return
        if normed == "layer":
            self.refuse("LayerNorms on queries and keys that are turned by their positions")
        if type(rope).__name__ not in ROTARY_KINDS:
            self.refuse(f"rotary positions of the kind {type(rope).__name__}")

    def absent(self, part: Any) -> bool:
        return part is None or isinstance(part, nn.Identity)

    def whole(self, module: Any) -> None:
        """The class of the network, and what no layout can say."""
        kind = type(module).__name__
        if kind not in CLASSES:
            because = (
                f", which is not supported because {REASONS[kind]}"
                if kind in REASONS
                else ", which has no layout here"
            )
            raise BadCheckpoint(
                f"timm's {self.architecture!r} is of the class {kind}{because}; supported are "
                f"{SUPPORTED}."
            )
        if module.global_pool not in ("token", "avg", "", "map"):
            raise BadCheckpoint(
                f"Pooling {module.global_pool!r} is not supported: only the class token "
                "('token'), the mean ('avg'), attention "
                "with a learned query ('map') and none ('') commute with a rotation of the stream."
            )

    def projection(
        self, patches: Any
    ) -> tuple[str, nn.Conv2d, tuple[tuple[str, tuple[int, ...]], ...]]:
        """The name of what writes patches to the stream, that map, and the parameters of
        convolutions before it.
        """
        name, found = "patch_embed.proj", patches.proj
        # the last of the convolutions
        if self.absent(found) and type(patches).__name__ == "HybridEmbed":
            convolutions = [
                (n, m) for n, m in patches.backbone.named_modules() if isinstance(m, nn.Conv2d)
            ]
            name, found = f"patch_embed.backbone.{convolutions[-1][0]}", convolutions[-1][1]
            behind = [
                type(m).__name__
                for m in list(patches.backbone.modules())[-2:]
                if not list(m.children())
            ]
            if behind and set(behind) - {"Conv2d", "Sequential", "Identity"}:
                self.refuse(f"{behind[-1]} between its patches and the stream")
        if not isinstance(found, nn.Conv2d):
            self.refuse("patches that are not projected")
        if type(patches).__name__ != "HybridEmbed":
            return name, found, ()
        stem = tuple(
            (f"patch_embed.backbone.{n}", tuple(tensor.shape))
            for n, tensor in patches.backbone.state_dict().items()
            if tensor.is_floating_point() and not f"patch_embed.backbone.{n}".startswith(f"{name}.")
        )
        return name, found, stem

    def last(self, module: Any) -> str | None:
        """The name of the last norm."""
        found = [
            name for name in ("norm", "fc_norm") if not self.absent(getattr(module, name, None))
        ]
        if len(found) > 1:
            self.refuse("two norms before its outputs")
        return found[0] if found else None

    def rms(self, norm: Any) -> bool:
        """Whether a norm is an RMSNorm; otherwise it is a LayerNorm."""
        kind = type(norm).__name__
        if (
            kind not in ("LayerNorm", "LayerNormFp32", "RmsNorm", "RmsNormFp32")
            or norm.weight is None
        ):
            self.refuse(f"{kind} for LayerNorm")
        return kind.startswith("Rms")

    def block(self, block: Any) -> Layers:
        """What a block says of the body."""
        kind = type(block).__name__
        if kind == "ParallelScalingBlock":
            return self._parallel(block)
        if kind == "ParallelThingsBlock":
            attn, ffn = block.attns[0], block.ffns[0]
            scale = None if self.absent(attn.ls) else "ls.gamma"
            attends, feeds = self.attends(attn.attn), self.feeds(ffn.mlp)
            return Layers(attends, feeds, attn.norm, (scale, scale), several=len(block.attns))
        if kind not in ("Block", "EvaBlock", "RelPosBlock"):
            self.refuse(BLOCKS.get(kind, f"blocks of the kind {kind}"))
        scales = self._scale(block, 1), self._scale(block, 2)
        attends, feeds = self.attends(block.attn), self.feeds(block.mlp)
        relative = None
        table = getattr(block.attn, "relative_position_bias_table", None)
        if table is not None:
            relative = Relative("relative_position_bias_table", False, rows=table.shape[0])
        elif getattr(block.attn, "rel_pos", None) is not None:
            relative = self._relative(block.attn.rel_pos, "rel_pos", False)
        return Layers(attends, feeds, block.norm1, scales, relative)

    def _scale(self, block: Any, i: int) -> str | None:
        """Name of the LayerScale of one of a block's two layers, if it has one."""
        if hasattr(getattr(block, f"ls{i}", None), "gamma"):
            return f"ls{i}.gamma"
        return None if getattr(block, f"gamma_{i}", None) is None else f"gamma_{i}"

    def _parallel(self, block: Any) -> Layers:
        bias = block.in_proj.bias is not None
        out = (block.out_proj or block.attn_out_proj).bias is not None
        if not self.absent(block.q_norm):
            self.refuse("norms on queries and keys in parallel layers")
        if not out:
            self.refuse("parallel layers without biases")
        units = block.in_split[0]
        if units % block.head_dim:
            self.refuse(
                f"{units} units beside heads of {block.head_dim} in one matrix, which should "
                "divide them"
            )
        attends = Attends(block.num_heads, block.num_heads, block.head_dim, bias, bias, bias)
        scale = None if self.absent(block.ls) else "ls.gamma"
        feeds = Feeds(units, self._act(block.mlp_act))
        parallel = "fused" if block.out_proj is not None else "apart"
        return Layers(attends, feeds, block.in_norm, (scale, None), parallel=parallel)

    def attends(self, attn: Any) -> Attends:
        """An attention layer."""
        kind = type(attn).__name__
        if kind not in ("Attention", "EvaAttention", "AttentionRope", "RelPosAttention"):
            self.refuse(ATTENTIONS.get(kind, f"attention of the kind {kind}"))
        if not self.absent(getattr(attn, "norm", None)):
            self.refuse("a norm on what all heads write together")
        if getattr(attn, "gate", None) is not None:
            self.refuse("gated attention")
        heads = attn.num_heads
        qkv, normed = getattr(attn, "qkv", None), getattr(attn, "q_norm", None)
        first = (qkv if qkv is not None else attn.q_proj).weight
        size = int(getattr(attn, "head_dim", first.shape[0] // (3 * heads)))
        norm: Literal["layer", "rms"] | None = None
        if not self.absent(normed):
            norm = "rms" if self.rms(normed) else "layer"
        if qkv is None:
            query, key, value = (getattr(attn, f"{part}_proj").bias is not None for part in "qkv")
        elif getattr(attn, "q_bias", None) is not None:
            query, key, value = True, False, True
        else:
            query = key = value = qkv.bias is not None
        apart = qkv is not None and qkv.bias is None and query
        groups, out = int(getattr(attn, "num_kv_heads", heads)), attn.proj.bias is not None
        return Attends(heads, groups, size, query, key, value, out, qkv is not None, apart, norm)

    def _act(self, part: Any) -> str:
        kind = type(part).__name__
        if kind not in ACTIVATIONS:
            self.refuse(f"the activation {kind}")
        return ACTIVATIONS[kind]

    def feeds(self, mlp: Any) -> Feeds:
        """A feed-forward layer."""
        kind = type(mlp).__name__
        if kind not in ("Mlp", "GluMlp", "SwiGLU"):
            self.refuse(f"feed-forward layers of the kind {kind}")
        bias, normed = mlp.fc2.bias is not None, not self.absent(mlp.norm)
        if normed and self.rms(mlp.norm):
            self.refuse("an RMSNorm over its units")
        gate: Literal["first", "last", "apart"] | None = None
        if kind == "SwiGLU":
            gate = "apart"
        elif kind == "GluMlp":
            gate = "last" if mlp.gate_last else "first"
        return Feeds(mlp.fc2.in_features, self._act(mlp.act), bias, gate, normed)

    def relative(self, module: Any) -> Relative | None:
        """Positions that all layers share."""
        for name in ("shared_rel_pos", "rel_pos_bias"):
            if getattr(module, name, None) is not None:
                return self._relative(getattr(module, name), name, True)
        return None

    def _relative(self, part: Any, name: str, shared: bool) -> Relative:
        kind = type(part).__name__
        if kind not in RELATIVE:
            self.refuse(f"relative positions of the kind {kind}")
        if kind == "RelPosMlp":
            outputs = part.mlp.fc2
            return Relative(
                name, shared, 0, outputs.in_features, part.mode == "swin", outputs.bias is not None
            )
        return Relative(
            f"{name}.relative_position_bias_table",
            shared,
            part.relative_position_bias_table.shape[0],
        )

    def pooling(self, module: Any) -> Pools | None:
        """Attention for pooling, which reads behind the last norm."""
        part = getattr(module, "attn_pool", None)
        if part is None:
            return None
        if type(part).__name__ != "AttentionPoolLatent":
            self.refuse(f"pooling of the kind {type(part).__name__}")
        plain = (
            part.latent_len == 1
            and part.pos_embed is None
            and part.mlp is not None
            and part.q.bias is not None
        )
        if not plain or not self.absent(part.q_norm) or self.rms(part.norm):
            self.refuse("attention for pooling with settings of its own")
        if self.last(module) != "norm":
            self.refuse("attention for pooling without a norm before it")
        return Pools(part.num_heads, self.feeds(part.mlp))
