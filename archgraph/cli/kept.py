"""Where the studies of a command are kept, and what is said of that when it is interrupted."""

from __future__ import annotations

from collections.abc import Iterable

import typer

from archgraph.cli.options import INTERRUPTED
from archgraph.errors import SettingError
from archgraph.search.study import held_study
from archgraph.storage.address import Address, masked


def check_storage(storage: str | None, *, resume: bool, holds: str) -> None:
    """Check that a URL is of a kind of storage that there is, with its driver, and that it is named to resume.

    Args:
        storage: the URL, or None.
        resume: whether to carry on with what it holds.
        holds: what that is, in words.

    Raises:
        SettingError: when there is nothing to resume from.
        StorageError: when the URL is not of a storage.
    """
    if resume and storage is None:
        raise SettingError(f"--resume needs the --storage that holds {holds}")
    if storage is not None:
        Address.parse(storage)


def check_new(names: Iterable[str], storage: str | None, artifacts: str | None, *, what: str = "it") -> None:
    """Check that a storage holds none of some studies, where they are not to be carried on with.

    Args:
        names: of the studies.
        storage: the URL, or None.
        artifacts: the folder that is named for graphs and weights.
        what: what they are together, in words.

    Raises:
        SettingError: when it holds one.
        StorageError: when it cannot be used.
    """
    for name in names:
        study = held_study(name, storage, artifacts=artifacts)
        if study is not None:
            raise SettingError(
                f"study {name!r} is in {masked(storage)} already, with {len(study)} trials",
                hint=f"--resume to carry on with {what}, or --name for another one",
            )


def interrupted(storage: str | None) -> typer.Exit:
    """Say what is left of a command that was interrupted, and return how it ends."""
    kept = f"what finished is stored in {masked(storage)}; carry on with --resume"
    typer.echo(f"interrupted; {kept if storage else 'without --storage nothing is kept'}", err=True)
    return typer.Exit(INTERRUPTED)
