"""Names of the 1000 ImageNet classes, in the order classifiers number them.

    python -m edgevid.models.convert.imagenet_labels TIMM.whl OUT.tsv

The PyPI wheel ``timm`` (Apache-2.0; 1.0.31 was used) lists the WordNet 3.0 ids of the classes in order and
the lemmas of each id; both lists are joined into lines ``wnid <tab> lemma, synonym, ...``.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

from edgevid.core.errors import BadModelError

_FOLDER = "timm/data/_info/"
_CLASSES = 1000


def build(wheel: Path) -> str:
    """The table; BadModelError when the wheel does not hold the two lists."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            ids = archive.read(_FOLDER + "imagenet_synsets.txt").decode().split()
            lines = archive.read(_FOLDER + "imagenet_synset_to_lemma.txt").decode().splitlines()
        lemmas = dict(line.split("\t", 1) for line in lines)
        rows = [f"{wnid}\t{lemmas[wnid]}\n" for wnid in ids]
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise BadModelError(f"{wheel} does not hold timm's lists of ImageNet classes: {error}") from error
    if len(rows) != _CLASSES:
        raise BadModelError(f"{wheel} lists {len(rows)} classes, not {_CLASSES}")
    return "".join(rows)


def main(argv: list[str]) -> None:
    """``TIMM.whl OUT.tsv``."""
    wheel, target = (Path(argument) for argument in argv)
    target.write_text(build(wheel), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
