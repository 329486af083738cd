"""What is closed at run time, with the language policy off, and what still works there."""

# ruff: noqa: E501 - sources

from __future__ import annotations

import pytest
from codec_sandbox.supervisor import CandidateFault, Limits, Supervisor

from tests.sandbox.conftest import moving_picture

LIMITS = Limits(call_s=10, cpu_s=20, max_packet_bytes=1 << 20, max_frame_bytes=1 << 20)
HEAD = "import array, dataclasses, io, struct\nimport numpy as np\nimport torch\nOBJECTS = np.empty(2, dtype=object)\n"


def said(supervisor: Supervisor, body: str) -> str:
    """What a function with this body returns in a worker, or the error that ends it."""
    source = (
        HEAD
        + "def run(frame, frame_index, config):\n"
        + "".join(f"    {line}\n" for line in body.split("\n"))
    )
    with supervisor.worker_for_call(source.encode(), None, LIMITS) as worker:
        try:
            return worker.call("run", moving_picture(1, 64, 64)[0], 0, {})
        except CandidateFault as fault:
            return fault.message


@pytest.mark.parametrize(
    "body",
    [
        "np.frombuffer(OBJECTS, np.int64)",
        "np.frombuffer(memoryview(OBJECTS), np.int64)",
        "np.frombuffer(buffer=OBJECTS)",
        "struct.pack_into('Q', OBJECTS, 0, 1)",
        "struct.Struct('Q').pack_into(OBJECTS, 0, 1)",
        "io.BytesIO(bytes(8)).readinto(OBJECTS)",
        "io.BytesIO(bytes(8)).readinto1(OBJECTS.data)",
        "memoryview(OBJECTS).cast('B')",
        "OBJECTS.data.cast('B')",
        "memoryview.cast(OBJECTS.data, 'B')",
        "memoryview(OBJECTS).toreadonly().cast('B')",
        "torch.frombuffer(OBJECTS, dtype=torch.int64)",
        "torch.asarray(memoryview(OBJECTS), dtype=torch.int64)",
        "np.frombuffer(np.zeros(2, [('a', 'u1'), ('b', 'O')]), np.uint8)",
    ],
)
def test_the_pointers_of_an_array_of_objects_cannot_be_written(supervisor: Supervisor, body: str):
    assert "bytes of an array of objects are out of reach" in said(supervisor, body)


@pytest.mark.parametrize(
    "tensor",
    [
        "torch.frombuffer(fixed, dtype=torch.uint8)",
        "torch.asarray(fixed, dtype=torch.uint8)",
        "torch.asarray(memoryview(fixed), dtype=torch.uint8)",
        "torch.asarray(np.frombuffer(fixed, np.uint8))",
        "torch.as_tensor(np.frombuffer(fixed, np.uint8))",
        "torch.from_numpy(np.frombuffer(fixed, np.uint8))",
        "torch.from_numpy(np.asarray(memoryview(fixed)))",
        "torch.ByteTensor(np.frombuffer(fixed, np.uint8))",
        "torch.Tensor(np.frombuffer(fixed, np.float32))",
        "torch.zeros(1).new(np.frombuffer(fixed, np.float32))",
        "torch.nn.Parameter(torch.Tensor(np.frombuffer(fixed, np.float32))).data",
    ],
)
def test_no_tensor_changes_immutable_bytes(supervisor: Supervisor, tensor: str):
    body = f"fixed = bytes(range(16))\nmade = {tensor}\nmade[0] = 88\nreturn fixed == bytes(range(16)), float(made[0])"
    assert said(supervisor, body) == "tuple: (True, 88.0)"


@pytest.mark.parametrize("sparse", ["coo", "csr", "csc", "bsr", "bsc"])
def test_the_indices_of_a_sparse_tensor_are_copies(supervisor: Supervisor, sparse: str):
    body = f"""made = torch.eye(4).to_sparse(layout=torch.sparse_{sparse}{", blocksize=(2, 2)" if sparse[0] == "b" else ""})
for name in ("indices", "crow_indices", "col_indices", "ccol_indices", "row_indices"):
    try:
        getattr(made, name)()[...] = 1 << 22
    except RuntimeError:
        pass
return bool((made.to_dense() == torch.eye(4)).all())"""
    assert said(supervisor, body) == "bool: True"


@pytest.mark.parametrize(
    "body",
    [
        "torch.nn.Module().add_module('__array_interface__', None)",
        "torch.nn.Module().register_module('_parameters', None)",
        "torch.nn.Module().register_buffer('__len__', torch.ones(1))",
        "torch.nn.Module().register_parameter('__x__', None)",
        "torch.nn.ModuleDict({'__array_interface__': torch.nn.ReLU()})",
        "from collections import OrderedDict\ntorch.nn.Sequential(OrderedDict([('__x__', torch.nn.ReLU())]))",
        "class Name(str): ...\ntorch.nn.Module().add_module(Name('a'), None)",
    ],
)
def test_no_private_name_is_registered_with_a_layer(supervisor: Supervisor, body: str):
    assert "must not begin with an underscore" in said(supervisor, body)


def test_an_error_hands_over_no_object_and_a_field_no_type(supervisor: Supervisor):
    body = "try:\n    np.there_is_none\nexcept AttributeError as error:\n    return error.obj, error.name, str(error)"
    assert said(supervisor, body).startswith(
        "tuple: (None, 'there_is_none', \"module 'numpy' has no attribute"
    )
    assert "type of a field is out of reach" in said(supervisor, "dataclasses.field(default=1).type")
    assert "type of a field is out of reach" in said(supervisor, "dataclasses.InitVar[int].type")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return np.frombuffer(b'abc', np.uint8, count=2, offset=1).tolist()", "[98, 99]"),
        ("return np.frombuffer(b'abc', np.uint8).flags.writeable", "False"),
        ("room = bytearray(4)\nstruct.pack_into('>HH', room, 0, 1, 2)\nreturn bytes(room)", "b'\\x00\\x01\\x00\\x02'"),
        ("room = bytearray(2)\nstruct.Struct('>H').pack_into(room, 0, 7)\nreturn bytes(room)", "b'\\x00\\x07'"),
        ("return struct.Struct('<BH').size, struct.Struct('<BH').unpack(b'abc')", "(3, (97, 25442))"),
        ("room = bytearray(2)\nreturn io.BytesIO(b'abc').readinto(room), bytes(room)", "(2, b'ab')"),
        ("return memoryview(bytearray(8)).cast('I', shape=[2]).tolist()", "[0, 0]"),
        ("return torch.frombuffer(bytearray(b'ab'), dtype=torch.uint8).tolist()", "[97, 98]"),
        ("room = bytearray(b'ab')\ntorch.frombuffer(room, dtype=torch.uint8)[0] = 99\nreturn bytes(room)", "b'cb'"),
        ("own = np.zeros(2)\ntorch.from_numpy(own)[0] = 1\nreturn own.tolist()", "[1.0, 0.0]"),
        ("return torch.LongTensor([1, 2]).tolist(), torch.FloatTensor(2, 3).shape", "([1, 2], torch.Size([2, 3]))"),
        ("return isinstance(torch.ones(1), torch.FloatTensor), isinstance(torch.ones(1), torch.LongTensor)", "(True, False)"),
        ("return torch.ones(1).type(torch.LongTensor).dtype, torch.ones(1).type()", "(torch.int64, 'torch.FloatTensor')"),
        ("return torch.asarray(array.array('f', [1.0])).tolist(), torch.asarray([1]).tolist()", "([1.0], [1])"),
        ("layer = torch.nn.Linear(1, 1)\nlayer.register_buffer('table', torch.ones(1))\nreturn float(layer.table)", "1.0"),
        ("@dataclasses.dataclass\nclass A:\n    x: int = 1\nreturn dataclasses.replace(A(), x=2)", "x=2)"),
    ],
)  # fmt: skip
def test_ordinary_use_is_as_before(supervisor: Supervisor, body: str, expected: str):
    assert expected in said(supervisor, body)
