"""Graphs and weights beside a study's storage, under the hash of their content."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from archgraph.errors import DataError, StorageError
from archgraph.files import write


class Artifacts:
    """A content-addressed store in a folder, or in memory when there is none.

    The same content is stored once; a file is complete or absent; what is read is checked against its name.

    Args:
        folder: where; None keeps everything in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._memory: dict[str, bytes] = {}

    def prepare(self) -> None:
        """Make the folder, so that a place that cannot be written is known before anything is computed.

        Raises:
            StorageError: when it cannot be made or written.
        """
        if self.folder is not None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=self.folder).close()
            except OSError as error:
                raise self._unwritable(error) from error

    def put(self, content: bytes, kind: str) -> str:
        """Store content and return its name, ``"<sha256>.<kind>"``.

        Raises:
            StorageError: when it cannot be written.
        """
        name = f"{hashlib.sha256(content).hexdigest()}.{kind}"
        if self.folder is None:
            self._memory[name] = content
            return name
        path = self._path(name)
        try:
            if not path.exists() or path.stat().st_size != len(content):
                path.parent.mkdir(parents=True, exist_ok=True)
                write(path, content)
        except OSError as error:
            raise self._unwritable(error) from error
        return name

    def get(self, name: str) -> bytes:
        """Return what is stored under a name.

        Raises:
            StorageError: when it is not there.
            DataError: when its content does not match its name.
        """
        if self.folder is None:
            if name not in self._memory:
                raise StorageError(f"there is no artifact {name}", hint="studies in memory end with their process")
            return self._memory[name]
        try:
            content = self._path(name).read_bytes()
        except OSError as error:
            raise StorageError(
                f"cannot read artifact {name} in {self.folder}: {error.strerror or error}",
                hint="the folder of artifacts must lie beside the storage",
            ) from error
        if hashlib.sha256(content).hexdigest() != name.partition(".")[0]:
            raise DataError(f"artifact {name} in {self.folder} is damaged: its content does not match its name")
        return content

    def __contains__(self, name: object) -> bool:
        return name in self._memory if self.folder is None else self._path(str(name)).exists()

    def _unwritable(self, error: OSError) -> StorageError:
        return StorageError(
            f"cannot store results in {self.folder}: {error.strerror or error}",
            hint="free some space, or name another folder; what was stored before is safe",
        )

    def _path(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / name[:2] / name
