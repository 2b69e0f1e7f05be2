"""An alignment: one group element per space, moving model B into the coordinates of model A.

Planes live within heads: element number h of a plane acts on the head that stands at place h
*after* the heads were moved. So with heads p and planes A, the pair (A, p) sends head x to A[h]
x[p[h]], and

    (A2, p2)(A1, p1) = (A2[h] A1[p2[h]], p1[p2[h]]),    (A, p)^-1 = (A[p^-1[h]]^-1, p^-1),

the wreath product (Rotman, An Introduction to the Theory of Groups, 1995, ch. 7). Units live within
experts, experts may live within groups of experts: the same, level by level.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lmc_core.errors import BadCheckpoint, Inadmissible, Incompatible
from lmc_core.symmetry.arithmetic import find_device, precise
from lmc_core.symmetry.elements import (
    Element,
    Invertible,
    Monomial,
    Orthogonal,
    Permutation,
    compose,
    converted,
    identity,
    random_element,
)
from lmc_core.symmetry.layout import Block, Layout, State, rows, unrows
from lmc_core.symmetry.spaces import Classes, Space, SymmetryClass, class_of


def is_constant(tensor: Tensor) -> bool:
    """Whether all its entries are the same number."""
    return torch.equal(tensor, tensor.flatten()[:1].expand_as(tensor))


def act_on_block(
    layout: Layout,
    block: Block,
    tensor: Tensor,
    elements: Mapping[str, Element],
    constant: bool = False,
) -> Tensor:
    """Apply one element per space to one block; spaces without an element stay as they are.

    Args:
        layout: where the block belongs.
        block: which one.
        tensor: its values, float64.
        elements: by name of space.
        constant: whether all its values are known to be one number.

    Raises:
        Inadmissible: if a gain that is not constant would have to be rotated.
    """
    moving = [
        (len(layout.path(a.space)), i, a)
        for i, a in enumerate(block.axes)
        if a.space and a.space in elements
    ]
    # heads first, then their planes where they stand now
    for _, position, axis in sorted(moving, key=lambda each: each[0]):
        assert axis.space is not None
        element = elements[axis.space]
        if axis.role == "order" and not isinstance(element, Permutation | Monomial):
            if not (constant or is_constant(tensor)):
                raise Inadmissible(
                    f"{block.parameter!r} scales the coordinates of {axis.space!r} one by one; "
                    "fold it into its readers "
                    "(the canonical rewrite) before a map that mixes coordinates."
                )
            continue
        first = [*(block.axis(outer) for outer in layout.path(axis.space)), position]
        found = rows(tensor, first)
        flat = found.flatten(0, -3) if found.ndim > 2 else found
        tensor = unrows(element.act(flat, axis.role), first, tuple(tensor.shape))
    return tensor


CHUNK = 2**20  # numbers of a large block that are held in float64 at once: 8 MB


def find_cut(
    shape: Sequence[int], block: Block, spaces: Container[str] | None = None
) -> tuple[int, int] | None:
    """Where a block of a shape is cut: the number of an axis that no space (of `spaces`) lives in,
    and how many of its places make a piece; None where it stays whole.
    """
    free = [
        i
        for i, axis in enumerate(block.axes)
        if axis.space is None or (spaces is not None and axis.space not in spaces)
    ]
    size = math.prod(shape)
    if size <= CHUNK or not free:
        return None
    longest = max(free, key=lambda i: shape[i])
    return longest, max(1, shape[longest] * CHUNK // size)


def chunks(tensor: Tensor, block: Block, spaces: Container[str] | None = None) -> Iterator[Tensor]:
    """Cut a large view of a block along an axis that no space (of `spaces`) lives in: little is in
    float64 at a time.
    """
    cut = find_cut(tensor.shape, block, spaces)
    return iter((tensor,)) if cut is None else iter(tensor.split(cut[1], cut[0]))


def moved_whole(layout: Layout, moving: Iterable[str]) -> set[str]:
    """Spaces along which a block cannot be cut while some spaces move: these, and those around
    them, every copy of which has a map of its own even where the copies stay in their places.
    """
    names = set(moving)
    return names | {outer for name in names for outer in layout.path(name)}


@runtime_checkable
class Pieced(Protocol):
    """Parameters that are made block by block, so that a large one is never there as a whole."""

    def pieces(self, block: Block) -> Iterator[Tensor]:
        """What `chunks` gives of a block."""
        ...


def read_pieces(layout: Layout, state: State, block: Block) -> Iterator[Tensor]:
    """A block of a model, in pieces if it is large."""
    if isinstance(state, Pieced):
        return state.pieces(block)
    return chunks(layout.view(state, block), block)


def is_identity(element: Element) -> bool:
    """Whether it is a permutation that leaves everything in its place."""
    if not isinstance(element, Permutation):
        return False
    still = torch.arange(element.indices.shape[-1], device=element.indices.device)
    return torch.equal(element.indices, still.expand_as(element.indices))


@dataclass(frozen=True)
class Alignment:
    """One group element per space.

    Attributes:
        elements: by name of space.
        within: for spaces that live within another, its name.
    """

    elements: Mapping[str, Element]
    within: Mapping[str, str]

    @classmethod
    def of(
        cls,
        spaces: Mapping[str, Space],
        elements: Mapping[str, Element] | None = None,
        device: torch.device | str = "cpu",
    ) -> Alignment:
        """An alignment with the given elements, and the identity on all other spaces; `device` is
        where the elements are.
        """
        given = elements or {}
        return cls(
            {
                name: given[name] if name in given else identity(space, device)
                for name, space in spaces.items()
            },
            {name: space.within for name, space in spaces.items() if space.within is not None},
        )

    @classmethod
    def random(
        cls, spaces: Mapping[str, Space], classes: Classes, generator: torch.Generator
    ) -> Alignment:
        """Draw an element of the chosen class for each space."""
        return cls.of(
            spaces,
            {n: random_element(s, class_of(s, classes), generator) for n, s in spaces.items()},
        )

    def to(
        self, device: torch.device | str, spaces: Mapping[str, Space] | None = None
    ) -> Alignment:
        """The same alignment with its elements on a device.

        Args:
            device: where they go.
            spaces: by name; with them maps that were found in float32 keep what they have to keep
                to the rounding of float64.
        """
        fixed = {name for name, space in (spaces or {}).items() if space.fixes_ones}
        return Alignment(
            {
                name: converted(element, device, fixes_ones=name in fixed)
                for name, element in self.elements.items()
            },
            self.within,
        )

    def apply(self, layout: Layout, state: State, in_place: bool = False) -> dict[str, Tensor]:
        """Move the parameters of a model, one at a time, on the device where they are; computed in
        float64 (`arithmetic`), returned in the precision of `state`.

        Args:
            layout: of the model.
            state: its parameters.
            in_place: write into the tensors of `state`, so that nothing is held twice.

        Raises:
            Incompatible: if the alignment was made for other spaces.
            Inadmissible: if a gain that is not constant would have to be rotated.
        """
        if set(self.elements) != set(layout.spaces):
            raise Incompatible(
                "This alignment was made for a model with other spaces; make one for this pair."
            )
        device = find_device(state)
        moving = {n: converted(e, device) for n, e in self.elements.items() if not is_identity(e)}
        kept_whole = moved_whole(layout, moving)
        result = {
            name: tensor if in_place else tensor.clone().contiguous()
            for name, tensor in state.items()
        }
        for block in layout.blocks:
            if not any(axis.space in moving for axis in block.axes):
                continue
            tensor = layout.view(result, block)
            for part in chunks(tensor, block, kept_whole):
                part.copy_(act_on_block(layout, block, precise(part), moving))
        return result

    def _places(self, name: str) -> Tensor | None:
        """For every copy of a space, flat, the number of the copy that stands there after the outer
        spaces have moved.
        """
        path = []
        while (outer := self.within.get(path[-1] if path else name)) is not None:
            path.append(outer)
        places = None
        for outer in reversed(path):
            element = self.elements[outer]
            assert isinstance(element, Permutation), (
                "only permutations can move whole copies of a space"
            )
            indices = element.indices
            if places is None:
                places = indices
            else:
                whole, each = (
                    torch.arange(size, device=indices.device)
                    for size in (len(places), indices.shape[1])
                )
                inner = whole[:, None] * indices.shape[1] + each
                places = inner[places].gather(1, indices).flatten()
        return places

    def inverse(self) -> Alignment:
        """The alignment that undoes this one."""
        elements = {}
        for name, element in self.elements.items():
            places = self._places(name)
            elements[name] = (
                element if places is None else element.select(places.argsort())
            ).inverse()
        return Alignment(elements, self.within)

    def compose(self, first: Alignment) -> Alignment:
        """The alignment that acts like `first`, then like this one."""
        elements = {}
        for name, second in self.elements.items():
            places = self._places(name)
            earlier = first.elements[name]
            elements[name] = compose(second, earlier if places is None else earlier.select(places))
        return Alignment(elements, self.within)

    def distance(self, other: Alignment) -> float:
        """Largest absolute difference of the matrices of two alignments, over all spaces."""
        return max(
            float((self.elements[name].matrix() - other.elements[name].matrix()).abs().max())
            for name in self.elements
        )

    @property
    def digest(self) -> str:
        """SHA-256 over its elements, as 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for name, element in sorted(self.elements.items()):
            digest.update(f"{name} {element.kind.value}".encode())
            for key, tensor in sorted(element.tensors().items()):
                digest.update(key.encode())
                digest.update(tensor.detach().cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write to one safetensors file."""
        tensors = {
            f"{name}/{key}": tensor.contiguous()
            for name, element in self.elements.items()
            for key, tensor in element.tensors().items()
        }
        kinds = {name: element.kind.value for name, element in self.elements.items()}
        save_file(
            tensors,
            path,
            {
                "format": "lmc-alignment-1",
                "kinds": json.dumps(kinds),
                "within": json.dumps(dict(self.within)),
            },
        )

    @classmethod
    def load(cls, path: Path) -> Alignment:
        """Read what `save` wrote.

        Raises:
            BadCheckpoint: if the file is missing, damaged or something else.
        """
        makers = {
            SymmetryClass.PERMUTATION.value: Permutation,
            SymmetryClass.SCALED.value: Monomial,
            SymmetryClass.ORTHOGONAL.value: Orthogonal,
            SymmetryClass.INVERTIBLE.value: Invertible,
        }
        try:
            with safe_open(path, framework="pt") as file:
                header = file.metadata() or {}
                if header.get("format") != "lmc-alignment-1":
                    raise BadCheckpoint(
                        f"{Path(path).name} is not an alignment written by this program."
                    )
                elements: dict[str, Element] = {}
                for name, kind in json.loads(header["kinds"]).items():
                    every = list(file.keys())
                    keys = [key for key in every if key.rpartition("/")[0] == name]
                    elements[name] = makers[kind](
                        **{key.rpartition("/")[2]: file.get_tensor(key) for key in keys}
                    )
                return cls(elements, json.loads(header["within"]))
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise BadCheckpoint(
                f"{Path(path).name} is not a readable alignment ({type(error).__name__})."
            ) from error
