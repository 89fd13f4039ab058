"""A published data set: in which forms it is found on disk, and from where it is downloaded when it is not.

Looked in are the folder that is given or that ``ARCHGRAPH_DATA`` names, then the user's cache. A folder that is given
is only read, as it may be shared or meant to stay as it is (permissions do not stop a superuser); downloads go to the
cache alone.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from archgraph.errors import DataError
from archgraph.tasks.download import Remote, cache_folder, fetch

VARIABLE = "ARCHGRAPH_DATA"
"""Names the folder of data sets where none is given."""

REMEMBERED = 2
"""Data sets that are kept in memory as they were read, so that seeds and options do not read them again."""

_HINT = f"name the folder of data sets by --data-root DIR, data_root= or {VARIABLE}"

Content = TypeVar("Content")
_READ: OrderedDict[Any, Any] = OrderedDict()


@dataclass(frozen=True)
class Form:
    """A set of files that together are the data set.

    Args:
        kind: what it is called, for those who read it.
        folders: where it may lie, relative to a root; the first that has all files is taken.
        files: for each file the names that it may have.
    """

    kind: str
    folders: tuple[str, ...]
    files: Mapping[str, tuple[str, ...]]

    def within(self, folder: Path) -> tuple[dict[str, Path], list[str]]:
        """Return the files that a folder has, and the names of those that it lacks."""
        here: dict[str, Path] = {}
        for label, names in self.files.items():
            there = next((folder / name for name in names if os.path.isfile(folder / name)), None)
            if there is not None:
                here[label] = there
        return here, [names[0] for label, names in self.files.items() if label not in here]


@dataclass(frozen=True)
class Found:
    """Where a data set lies: a form, and the path of each of its files."""

    kind: str
    files: Mapping[str, Path]

    def read_by(self, reader: Callable[[Found], Content]) -> Content:
        """Read the files, or recall what they held if they have not changed since; it must not be changed."""
        stats = [path.stat() for path in self.files.values()]
        stamp = (reader, self.kind, *self.files.items(), *((one.st_size, one.st_mtime_ns) for one in stats))
        if stamp not in _READ:
            _READ[stamp] = reader(self)
        _READ.move_to_end(stamp)
        while len(_READ) > REMEMBERED:
            _READ.popitem(last=False)
        return _READ[stamp]


@dataclass(frozen=True)
class Published:
    """A data set as it was published.

    Args:
        title: its name, for people.
        forms: the forms in which it is read, the best first.
        home: the folder, relative to the cache, for what is downloaded; a form looks for it there.
        remotes: what to download, which together are one of ``forms``; none where no file is known to be the published
            one by its hash.
        source: where it is published, for those who must get it themselves.
    """

    title: str
    forms: tuple[Form, ...]
    home: str
    remotes: tuple[Remote, ...]
    source: str = ""

    def find(self, data_root: str | Path | None = None, *, download: bool = True) -> Found:
        """Find the files, or download them.

        Args:
            data_root: a folder of data sets; that which :data:`VARIABLE` names by default. It is only read.
            download: whether to download what is missing, to the user's cache.

        Raises:
            DataError: when the folder is none, or nothing is found and it cannot be downloaded: where was looked, what
                was looked for, and where to get it.
            StorageError: when what was downloaded cannot be written.
        """
        named = data_root or os.environ.get(VARIABLE)
        given = [_folder(Path(os.path.expanduser(named)))] if named else []
        found = self._among(given) or self._among([cache_folder()])
        if found is not None:
            return found
        if not download:
            raise self._missing(given, "nothing is downloaded, as download=False")
        if not self.remotes:
            raise self._missing(given, "archgraph does not download it")
        target = cache_folder() / self.home
        try:
            fetch(self.remotes, target)
        except ConnectionError as error:
            raise self._missing(given, f"the download failed: {error}") from error
        found = self._among([cache_folder()])
        if found is None:
            raise self._missing(given, f"what was downloaded to {target} is gone")
        return found

    def _among(self, roots: list[Path]) -> Found | None:
        for root in roots:
            for form, folder in self._places(root):
                files, lacking = form.within(folder)
                if not lacking:
                    return Found(form.kind, files)
        return None

    def _places(self, root: Path) -> Iterator[tuple[Form, Path]]:
        for form in self.forms:
            for folder in form.folders:
                yield form, root / folder

    def _missing(self, given: list[Path], reason: str) -> DataError:
        lines = []
        for root in (*given, cache_folder()):
            lines.append(f"looked in {root}")
            lines.append("  " + ", ".join(dict.fromkeys(folder for form in self.forms for folder in form.folders)))
            for form, folder in self._places(root):
                files, lacking = form.within(folder)
                if files:
                    lines.append(f"  {folder} has no {', '.join(lacking)}")
        places = dict.fromkeys(remote.url.rpartition("/")[0] for remote in self.remotes)
        for place in places:
            names = [url for url in (remote.url for remote in self.remotes) if url.rpartition("/")[0] == place]
            lines += [f"published at {place}/", "  " + ", ".join(url.rpartition("/")[2] for url in names)]
        lines += [f"published at {self.source}"] if self.source else []
        wanted = "\n            or ".join(", ".join(names[0] for names in form.files.values()) for form in self.forms)
        hint = f"get the files and put them into one of these folders, or {_HINT}"
        return DataError(
            f"the data set {self.title} is not here", expected=wanted, got=reason, hint=hint, place="\n".join(lines)
        )


def _folder(path: Path) -> Path:
    """Check that a path is a folder that can be read."""
    if not os.path.isdir(path):
        got = f"{path}, which is {'a file' if os.path.exists(path) else 'not there'}"
        raise DataError("there is no such folder of data sets", expected="a folder", got=got, hint=_HINT)
    if not os.access(path, os.R_OK | os.X_OK):
        raise DataError("the folder of data sets cannot be read", expected="permission to read it", got=path)
    return path
