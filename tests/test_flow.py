"""Flow files: what they say, and what is wrong with them."""

import shutil

import pytest

from dataops.errors import BatchFileError
from dataops.flow import parse_flow, read_flow_file, require_together
from dataops.workbook.flow import FLOWS, find_batch_or_flow
from dataops.workbook.run import BATCHES
from tests.samples import batch_of


def flow_of(**parts):
    return parse_flow({"flow": "nightly", **parts}, "nightly.yml")


def batches(*names, **changes):
    return {name: batch_of(batch=name, target__table=name, **changes) for name in names}


def test_steps_run_one_after_another_and_lists_side_by_side():
    flow = flow_of(steps=["a", ["b", "c"]])
    assert (flow.stages, flow.names) == ((("a",), ("b", "c")), ("a", "b", "c"))


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ({}, "expected either batches (their order is worked out) or steps (their order is given)"),
        ({"batches": ["a"], "steps": ["a"]}, "expected either batches"),
        ({"batches": ["a", "b", "a"]}, "batches: batch 'a' stands there twice"),
        ({"steps": ["a", ["b", "a"]]}, "steps: batch 'a' stands there twice"),
        ({"steps": ["a", []]}, "steps[1]: expected a batch or a list of batches, found an empty list"),
        ({"batches": [f"b{n}" for n in range(41)]}, "expected at most 40 batches, found 41"),
        ({"batches": ["a"], "flow": "no spaces"}, "flow: expected a letter, then up to 31 letters, digits, - or _"),
        ({"batches": ["a"], "publish": "never"}, "publish: "),
        ({"batches": ["a"], "workers": 0}, "workers: "),
        ({"batches": ["a"], "batch": "a"}, "batch: unknown key (did you mean batches?)"),
    ],
)
def test_a_wrong_flow_is_told_with_its_place(parts, error):
    with pytest.raises(BatchFileError) as caught:
        flow_of(**parts)
    assert str(caught.value).startswith("nightly.yml: ")
    assert error in str(caught.value)


def write_flow(tmp_path, text):
    shutil.copytree(BATCHES, tmp_path / "batches")
    path = tmp_path / "flows" / "f.yml"
    path.parent.mkdir()
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("flow: f\nbatches: [ordes]", r"f.yml: batches: batch 'ordes' is not in .*/batches \(did you mean orders\?\)"),
        ("flow: orders\nsteps: [customers]", "f.yml: flow: a batch has the name orders already"),
        ("flow: f\nflow: g\nsteps: [customers]", "f.yml:2:1: .*'flow' stands here twice"),
    ],
)
def test_a_flow_is_read_with_the_batches_beside_it(tmp_path, text, error):
    with pytest.raises(BatchFileError, match=error):
        read_flow_file(write_flow(tmp_path, text))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"target__table": "same"}, "batches a and b have the same target, same"),
        ({"target__mode": "upsert"}, "batch b: target.mode: tables that change together need swap, found upsert"),
        (
            {"target__secret": "other"},
            "publish: together needs one target server, found secrets dataops/target and other",
        ),
    ],
)
def test_batches_that_cannot_change_together_are_told(changes, error):
    a = batch_of(batch="a", target__table=changes.get("target__table", "a"))
    known = {"a": a, "b": batch_of(**{"batch": "b", "target__table": "b", **changes})}
    with pytest.raises(BatchFileError, match=error):
        require_together(flow_of(steps=["a", "b"]), known)
    if "same" not in error:
        require_together(flow_of(steps=["a", "b"], publish="each"), known)


def test_a_name_is_a_batch_or_a_flow():
    assert find_batch_or_flow("orders").batch == "orders"
    named = find_batch_or_flow("nightly")
    assert find_batch_or_flow(str(FLOWS / "nightly.yml")) == named == read_flow_file(FLOWS / "nightly.yml")
    assert list(named.batches) == ["customers", "orders", "order-items"]
    with pytest.raises(BatchFileError, match=r"'nightli': is neither in .* \(did you mean nightly\?\)"):
        find_batch_or_flow("nightli")
