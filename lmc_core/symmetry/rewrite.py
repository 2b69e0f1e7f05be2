"""What the canonical rewrite of a family works on: its norms and its products, by names of blocks.
Data, no algorithm.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Reader = tuple[str, str | None]  # a weight and its bias


@dataclass(frozen=True)
class Norm:
    """A norm and what reads it, where nothing else sees its output: y = g * normalised(x) + o.

    Attributes:
        gain: block of g, or None for a norm without one.
        offset: block of o, or None.
        readers: every reader's weight with its bias or None.
        space: what is normalised.
        centred: the mean is subtracted (LayerNorm); RMSNorm does not.
        unit: the stored value that means a gain of 1; 0 for norms that multiply by 1 + w.
    """

    gain: str | None
    offset: str | None
    readers: tuple[Reader, ...]
    space: str = "residual"
    centred: bool = True
    unit: float = 1.0


@dataclass(frozen=True)
class Product:
    """Two sides of a space of which only the product is seen: query and key, value and output, `up`
    and `down` of a gated unit.

    Attributes:
        space: the space between them.
        left: blocks of one side, weights and biases.
        right: blocks of the other.
        invisible: a bias on the right that adds one number to all scores of a query, which a
            softmax does not see: the key's, on the coordinates that are not rotated by a position
            encoding.
        constant: (bias on the left, weight on the right, bias that the right side adds to) where
            the left bias reaches the output as a constant: b_o -> b_o + W_o b_v, as attention rows
            sum to one.
        gate: blocks of a third side, where a positive factor passes through a gate too (ReLU): all
            three get equal norms.
        unseen: further biases on the right of which no output sees anything.
        scale: what the network multiplies the product by, where that depends on the size of the
            space: 1/sqrt(size of a head).
    """

    space: str
    left: tuple[str, ...]
    right: tuple[str, ...]
    invisible: str | None = None
    constant: tuple[str, str, str] | None = None
    gate: tuple[str, ...] = ()
    scale: float = 1.0
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True)
class LayerScale:
    """A vector that scales what a layer writes, and the layer's weights and biases (None without
    one).
    """

    scale: str
    writers: tuple[str | None, ...]
    space: str = "residual"


@dataclass(frozen=True)
class Tied:
    """A head that shares the token table, head = scale * table, and what the configuration says
    once they are two.

    It `stays` shared where whatever moves the table moves the head as it should: no gain stands
    between them.
    """

    head: str
    table: str
    config: tuple[tuple[str, bool | float], ...] = (("tie_word_embeddings", False),)
    scale: float = 1.0
    stays: bool = False


@dataclass(frozen=True)
class Rewrite:
    """What the canonical rewrite of a family works on, and what its symmetry group has beside the
    maps of spaces.

    Attributes:
        norms: every norm whose output is seen by its readers alone.
        products: every space between two sides.
        layer_scales: every LayerScale.
        tied: when the head shares the token table and has to be a matrix of its own before the
            stream is rotated.
        centred: spaces of which no one sees the mean, so that writers can lose theirs (streams
            under LayerNorm).
        sums: groups of blocks of which only a sum of constants is seen (token and position tables,
            biases of parallel layers).
        scales: a phrase for every positive number that a norm undoes (exactly only where its
            epsilon is 0).
        further: (phrase, dimension) of continuous freedoms that no step here uses.
        multiplied: (block, number) of tables that the network multiplies by a number that depends
            on its width.
    """

    norms: tuple[Norm, ...] = ()
    products: tuple[Product, ...] = ()
    layer_scales: tuple[LayerScale, ...] = ()
    tied: Tied | None = None
    centred: tuple[str, ...] = ()
    sums: tuple[tuple[str, ...], ...] = ()
    scales: tuple[str, ...] = ()
    further: tuple[tuple[str, int], ...] = field(default=())
    multiplied: tuple[tuple[str, float], ...] = ()
