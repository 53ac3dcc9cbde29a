"""Every runtime on the CPU does the same with one tiny network, and says the same when it is used wrongly."""

import importlib

import numpy as np
import pytest

from mien.errors import ConfigError, MediaError, StageError
from mien.testing.context import FakeContext

onnx = pytest.importorskip("onnx", exc_type=ImportError)

pytestmark = pytest.mark.plugin

RUNTIMES = {
    "onnxruntime": "mien_onnxruntime.runtime:OnnxRuntime",
    "openvino": "mien_openvino.runtime:OpenVino",
}
WEIGHTS = np.array([[1.0, -2.0], [0.5, 3.0], [0.25, 0.0]], np.float32)


def tiny(quantised: bool = False) -> bytes:
    """out = scale * relu(in @ WEIGHTS): (batch, 3) and (1,) int64 -> (batch, 2); int8 weights when `quantised`."""
    from onnx import TensorProto, helper, numpy_helper

    values = [numpy_helper.from_array(WEIGHTS, "weights")]
    nodes = []
    if quantised:
        steps = np.float32(np.abs(WEIGHTS).max() / 127)
        values = [
            numpy_helper.from_array(np.round(WEIGHTS / steps).astype(np.int8), "coarse"),
            numpy_helper.from_array(np.array(steps), "steps"),
            numpy_helper.from_array(np.array(0, np.int8), "zero"),
        ]
        nodes.append(helper.make_node("DequantizeLinear", ["coarse", "steps", "zero"], ["weights"]))
    nodes += [
        helper.make_node("MatMul", ["in", "weights"], ["product"]),
        helper.make_node("Relu", ["product"], ["positive"]),
        helper.make_node("Cast", ["scale"], ["factor"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["positive", "factor"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info("in", TensorProto.FLOAT, ["batch", 3]),
            helper.make_tensor_value_info("scale", TensorProto.INT64, [1]),
        ],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", 2])],
        values,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture(params=sorted(RUNTIMES))
def runtime(request):
    pytest.importorskip(request.param, exc_type=ImportError)
    module, _, name = RUNTIMES[request.param].partition(":")
    made = getattr(importlib.import_module(module), name)()
    made.open(FakeContext())
    yield made
    made.close()


def expected(rows: np.ndarray, scale: int) -> np.ndarray:
    return scale * np.maximum(rows @ WEIGHTS, 0)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_any_batch_gives_what_numpy_gives(runtime, batch):
    network = runtime.load(tiny())
    rows = np.random.default_rng(batch).normal(size=(batch, 3)).astype(np.float32)
    found = network.run({"in": rows, "scale": np.array([3])})
    assert list(found) == ["out"]
    assert found["out"] == pytest.approx(expected(rows, 3), abs=1e-5)
    network.close()


def test_results_are_the_callers(runtime):
    network = runtime.load(tiny())
    first = network.run({"in": np.ones((1, 3), np.float32), "scale": np.array([1])})["out"]
    kept = first.copy()
    network.run({"in": np.full((1, 3), 9, np.float32), "scale": np.array([2])})
    assert np.array_equal(first, kept)


def test_int8_is_near(runtime):
    network = runtime.load(tiny(quantised=True), precision="int8")
    rows = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
    assert network.run({"in": rows, "scale": np.array([1])})["out"] == pytest.approx(
        expected(rows, 1), abs=0.15
    )


def test_it_says_what_the_network_takes_and_gives(runtime):
    network = runtime.load(tiny())
    assert network.inputs["in"].shape == (None, 3)
    assert network.inputs["in"].dtype == np.float32
    assert network.inputs["scale"].shape == (1,)
    assert network.inputs["scale"].dtype == np.int64
    assert network.outputs["out"].shape == (None, 2)
    assert runtime.device == "cpu"


def test_a_file_is_as_good_as_bytes(runtime, tmp_path):
    file = tmp_path / "tiny.onnx"
    file.write_bytes(tiny())
    found = runtime.load(file).run({"in": np.ones((1, 3), np.float32), "scale": np.array([1])})
    assert found["out"] == pytest.approx(expected(np.ones((1, 3), np.float32), 1))


def test_what_is_arranged_otherwise_in_memory_is_taken(runtime):
    rows = np.asfortranarray(np.random.default_rng(2).normal(size=(4, 3)).astype(np.float32))[::2]
    found = runtime.load(tiny()).run({"scale": np.array([1]), "in": rows})
    assert found["out"] == pytest.approx(expected(rows, 1), abs=1e-5)


@pytest.mark.parametrize(
    ("inputs", "complaint"),
    [
        ({"in": np.ones((1, 4), np.float32), "scale": np.array([1])}, r"'in' is float32 \(any, 3\), not .* \(1, 4\)"),
        ({"in": np.ones((1, 3)), "scale": np.array([1])}, r"'in' is float32 \(any, 3\), not float64"),
        ({"in": np.ones((1, 3), np.float32)}, r"'scale' int64 \(1\) is missing"),
        ({"input": np.ones((1, 3), np.float32)}, "no input 'input'; it takes in, scale"),
    ],
)  # fmt: skip
def test_wrong_inputs_are_named(runtime, inputs, complaint):
    with pytest.raises(StageError, match=complaint):
        runtime.load(tiny()).run(inputs)


def test_what_is_no_network_is_refused(runtime, tmp_path):
    with pytest.raises(MediaError, match=r"no network .*nowhere\.onnx"):
        runtime.load(tmp_path / "nowhere.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(tiny()[:100])
    with pytest.raises(MediaError, match=r"broken\.onnx is no network"):
        runtime.load(broken)
    with pytest.raises(MediaError):
        runtime.load(b"nonsense")


def test_unknown_precisions_are_refused(runtime):
    with pytest.raises(ConfigError, match="int4"):
        runtime.load(tiny(), precision="int4")


def test_a_network_of_anything_but_numbers_is_refused(runtime):
    from onnx import TensorProto, helper

    words = [helper.make_tensor_value_info(name, TensorProto.STRING, [1]) for name in ("in", "out")]
    same = helper.make_node("Identity", ["in"], ["out"])
    graph = helper.make_graph([same], "words", words[:1], words[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(MediaError, match="no array of numbers"):
        runtime.load(model.SerializeToString())
