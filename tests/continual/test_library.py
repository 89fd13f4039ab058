"""Libraries: nothing is forgotten, to the bit, whatever comes after; each row is stored once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from archgraph import Graph, Network
from archgraph.continual import Library, Plan, head_resized
from archgraph.errors import DataError, GraphError, SettingError, StorageError
from archgraph.evaluation import Recipe, train
from archgraph.export import export
from archgraph.metrics import params
from archgraph.tasks import Task
from tests.continual.trunks import TRUNKS, inputs, lesson, moved, outputs, three_tasks, trunk


@pytest.mark.parametrize("name", TRUNKS)
def test_old_networks_and_outputs_stay_to_the_bit(name: str) -> None:
    library, networks = three_tasks(name)
    x = inputs(networks[0].graph)
    for number, network in enumerate(networks):
        assert library.network(number) == network
        assert torch.equal(outputs(library.network(number), x), outputs(network, x))
    shorter = Library(library.chapters[:1])
    assert shorter.network(0) == library.network(0)


@pytest.mark.parametrize("name", TRUNKS)
def test_frozen_rows_are_those_of_their_makers(name: str) -> None:
    """The slow way round: every number of every row is looked up in the network of the task that made it."""
    library, networks = three_tasks(name)
    seen = 0
    for chapter, network in zip(library, networks, strict=True):
        for node in chapter.homes.makers:
            for key, spec in network.graph.tensors(node).items():
                axis = spec.axes.index("out")
                at = chapter.homes.columns(node, spec)
                for row, (version, address) in enumerate(
                    zip(chapter.versions(node), chapter.addresses(node), strict=True)
                ):
                    if version == chapter.number:
                        continue
                    maker = library.chapters[version]
                    there = maker.addresses(node).index(address)
                    mine = network.weights[f"{node}.{key}"].select(axis, row)
                    theirs = networks[version].weights[f"{node}.{key}"].select(axis, there)
                    if at is None:
                        assert torch.equal(mine, theirs)
                        continue
                    column, source = at[0] - (at[0] > axis), at[1]
                    known = maker.addresses(source)
                    for place, read in enumerate(chapter.addresses(source)):
                        number = mine.select(column, place)
                        wanted = theirs.select(column, known.index(read)) if read in known else torch.zeros(())
                        assert torch.equal(number, wanted.expand_as(number))
                        seen += 1
    assert seen


@pytest.mark.parametrize("name", TRUNKS)
def test_every_number_is_counted_once(name: str) -> None:
    library, networks = three_tasks(name)
    total = 0
    for chapter, network in zip(library, networks, strict=True):
        frozen = library.chapters[chapter.number].frozen()
        for label, tensor in network.weights.items():
            node, _, key = label.partition(".")
            spec = network.graph.tensors(node)[key]
            if spec.trainable:
                kept = len(frozen.get(node, ())) if "out" in spec.axes else 0
                rows = tensor.shape[spec.axes.index("out")] if "out" in spec.axes else 1
                total += tensor.numel() // rows * (rows - kept)
    assert library.params == total
    assert library.params < sum(params(network.graph) for network in networks)


@pytest.mark.parametrize("name", TRUNKS)
def test_a_task_begins_as_what_was_there(name: str) -> None:
    first = Network.init(trunk(name), 3)
    library = Library().learned("one", *lesson(Library(), trunk(name), seed=3))
    network, plan = library.begin(trunk(name), seed=4)
    known = library.network(0).weights
    heads = {label for label in network.weights if label.startswith("y.")}
    assert all(torch.equal(one, known[label]) for label, one in network.weights.items() if label not in heads)
    assert all(torch.equal(network.weights[label], Network.init(trunk(name), 4).weights[label]) for label in heads)
    assert first.graph == network.graph and {use.version for uses in plan.uses.values() for use in uses} == {0}
    assert set(library.frozen(network, plan)) == set(library.chapters[0].homes.makers)


def test_unlocking_changes_nothing_at_first_and_copies_train_alone() -> None:
    task = Task.from_tensors("own", torch.randn(40, 3), torch.arange(40) % 2, loss="cross-entropy")
    library = Library().learned("one", *lesson(Library(), trunk("mlp")))
    x = inputs(trunk("mlp"))
    before = outputs(library.network(0), x)
    network, plan = library.begin(trunk("mlp"), seed=1)
    plan = plan.unlocked({"a": (2,)}, 1)
    frozen = library.frozen(network, plan)
    assert frozen == {"a": (0, 1, 3), "b": (0, 1, 2, 3, 4)}
    done = train(network, task, Recipe(epochs=3, weight_decay=0.1), seed=0, frozen=frozen).network
    assert not torch.equal(done.weights["a.weight"][2], network.weights["a.weight"][2])
    library = library.learned("two", done, plan)
    assert torch.equal(outputs(library.network(0), x), before) and library.network(1) == done
    assert library.chapters[1].params == 4 + 12  # the row and bias of one unit, and a head


def test_a_later_task_finds_the_latest_versions_and_all_slots() -> None:
    library, _ = three_tasks("mlp")
    network, plan = library.begin(trunk("mlp"), seed=9)
    assert str(plan) == "a 0@0 1@1 2-3@0 4@1 5-6@2; f"[:-3] + "; b 0@0 1@1 2-4@0 5@1 6-7@2"
    rows = network.weights["b.weight"]
    assert torch.equal(rows[0, 4:], torch.zeros(3))  # made by the first task, which knew four slots of a
    assert torch.equal(rows[5, 5:], torch.zeros(2)) and rows[5, 4] != 0 and bool((rows[6:] != 0).all())


def test_slots_that_a_task_does_not_use_leave_its_network() -> None:
    library, networks = three_tasks("mlp")
    from archgraph.moves import Prune

    network, plan = library.begin(trunk("mlp"), seed=5)
    smaller, fewer = Prune("a", (1, 4)).apply(network), plan.without({"a": (1, 4)})
    done = moved(smaller, library.frozen(smaller, fewer), 6)
    longer = library.learned("four", done, fewer)
    assert longer.network(3) == done and longer.network(3).graph.units("a") == 5
    assert [longer.network(task) for task in range(3)] == networks


@pytest.mark.slow
def test_export_is_the_network_of_a_task(tmp_path: Path) -> None:
    library, networks = three_tasks("conv")
    found = export(library.network(1), tmp_path, formats=("python",))
    assert found.folder == tmp_path and (tmp_path / "model.py").exists()
    assert library.network(1) == networks[1]


# ------------------------------------------------------------------ on disk
@pytest.mark.parametrize("name", ["mlp", "conv", "residual"])
def test_a_library_comes_back_from_disk(name: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    library, networks = three_tasks(name)
    library.save(tmp_path / "library")
    back = Library.load(tmp_path / "library")
    assert [back.network(task) for task in range(3)] == networks and back.names == library.names
    stored = load_file(tmp_path / "library" / "rows.safetensors")
    trained = sum(
        one.numel()
        for label, one in stored.items()
        if not label.endswith(("running_mean", "running_var", "num_batches_tracked"))
    )
    assert trained == back.params == library.params


def test_a_damaged_library_is_told(tmp_path: Path) -> None:
    three_tasks("mlp")[0].save(tmp_path)
    with pytest.raises(StorageError, match="cannot read"):
        Library.load(tmp_path / "elsewhere")
    text = (tmp_path / "library.json").read_text()
    for wrong in (text[:-20], text.replace("4@1", "4@7"), text.replace("Linear(6)", "Linear(5)"), "{}x"):
        (tmp_path / "library.json").write_text(wrong)
        with pytest.raises(DataError, match="damaged"):
            Library.load(tmp_path)
    (tmp_path / "library.json").write_text(text)
    rows = (tmp_path / "rows.safetensors").read_bytes()
    (tmp_path / "rows.safetensors").write_bytes(rows[:-5])
    with pytest.raises(DataError, match="damaged"):
        Library.load(tmp_path)


# ------------------------------------------------------------------ refusals
def test_what_was_changed_is_not_taken() -> None:
    library = Library().learned("one", *lesson(Library(), trunk("mlp")))
    network, plan = library.begin(trunk("mlp"), seed=1)
    with pytest.raises(DataError, match="has changed what other tasks have made"):
        library.learned("two", moved(network, {}, 2), plan)
    with pytest.raises(DataError, match="does not fit its graph"):
        library.learned("two", network, Plan.parse("a 0-2@0; b 0-4@0"))
    with pytest.raises(SettingError, match="no task 1"):
        library.network(1)


def test_trunks_that_cannot_be_shared() -> None:
    lstm = Graph.parse("x = Input((6, 3), unit_axis=1)\na = LSTM(4)(x)\np = Flatten()(a)\ny = Linear(2)(p)\nreturn y")
    with pytest.raises(GraphError, match="node 'a' cannot be shared between tasks unit by unit"):
        Library().begin(lstm, seed=0)
    library = Library().learned("one", *lesson(Library(), trunk("mlp")))
    with pytest.raises(DataError, match="one trunk"):
        library.begin(trunk("concat"), seed=0)


def test_heads_of_another_size() -> None:
    assert head_resized(trunk("mlp"), 2) == trunk("mlp")
    assert head_resized(trunk("conv"), 7).shape("y").dims == (7,)
    soft = Graph.parse("x = Input((3,))\na = Linear(2)(x)\ns = Softmax(dim=-1)(a)\nreturn s")
    assert head_resized(soft, 5).shape("s").dims == (5,)
    plain = Graph.parse("x = Input((3,))\nf = ReLU()(x)\nreturn f")
    with pytest.raises(SettingError, match="another number of outputs"):
        head_resized(plain, 5)
