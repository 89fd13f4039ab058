"""Where the studies of a command are kept, and what is said of that when it is interrupted."""

from __future__ import annotations

import typer

from archgraph.cli.options import INTERRUPTED
from archgraph.errors import SettingError
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


def interrupted(storage: str | None) -> typer.Exit:
    """Say what is left of a command that was interrupted, and return how it ends."""
    kept = f"what finished is stored in {masked(storage)}; carry on with --resume"
    typer.echo(f"interrupted; {kept if storage else 'without --storage nothing is kept'}", err=True)
    return typer.Exit(INTERRUPTED)
