"""``archgraph export``: a network of a study, or of a folder, as files that need no archgraph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archgraph.cli.options import Artifacts, DataRoot, Device, OneTrial, Seed, Storage
from archgraph.cli.subject import BEST, open_study, pick, read_network
from archgraph.errors import SettingError


def export(
    subject: Annotated[str, typer.Argument(help="A study, or a folder with a saved network.", metavar="STUDY|FOLDER")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.", metavar="DIR")],
    formats: Annotated[
        str, typer.Option("--formats", help="Comma-separated: python, state-dict, onnx, pt2.")
    ] = "python",
    storage: Storage = None,
    trial: OneTrial = None,
    artifacts: Artifacts = None,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
) -> None:
    """Write a network as plain PyTorch, ONNX or an exported program; each is reloaded without archgraph and compared.

    Example: [bold]archgraph export demo --storage sqlite:///runs.db --trial best --out best[/bold]
    """
    from archgraph.export import export as write

    if storage is not None:
        network = pick(open_study(subject, storage, artifacts), trial or BEST).network
    elif trial is not None:
        raise SettingError("--trial is of a study", hint="name the study's --storage")
    elif Path(subject).is_dir():
        network = read_network(subject)
    else:
        raise SettingError(
            f"there is no folder {subject!r} with a network", hint="if it is a study, name its --storage"
        )
    done = write(network, out, [name.strip() for name in formats.split(",") if name.strip()])
    for file in done.files:
        typer.echo(f"wrote {file}")
    for check in done.checks:
        typer.echo(f"checked {check}")
