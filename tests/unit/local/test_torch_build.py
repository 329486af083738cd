"""Which build of torch a fresh machine gets."""

import sys

import pytest

from infra.torch_build import needs_cuda

PLAIN = ["filelock", "sympy>=1.13.3", 'optree>=0.13.0; extra == "optree"']


@pytest.mark.parametrize(
    ("requirements", "needed"),
    [
        (PLAIN, False),
        ([*PLAIN, "nvidia-cublas-cu12==12.8.4.1"], True),
        ([*PLAIN, f'cuda-bindings<14,>=13.0.3; sys_platform == "{sys.platform}"'], True),
        ([*PLAIN, 'nvidia-cublas; sys_platform == "another"'], False),
        ([*PLAIN, 'nvidia-cudnn-cu13; extra == "cuda"'], False),
    ],
)
def test_a_build_that_pulls_cuda_libraries_onto_this_machine_is_not_taken(requirements, needed):
    assert needs_cuda(requirements) is needed
