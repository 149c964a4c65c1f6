import pytest
import torch

from gf_env.training.precision import is_mixed

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("capabilities", "mixed"),
    [
        ({}, False),
        ({"avx512_f": True, "amx_bf16": False}, False),
        ({"amx_bf16": True}, True),
        ({"avx512_bf16": True}, True),
    ],
)
def test_auto_is_mixed_where_the_cpu_computes_in_bfloat16(capabilities, mixed, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert is_mixed("auto", CPU) is mixed
    assert is_mixed("bfloat16", CPU) is True
    assert is_mixed("float32", CPU) is False


def test_auto_where_torch_does_not_say_what_a_cpu_has(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert is_mixed("auto", CPU) is False


@pytest.mark.parametrize("supported", [True, False])
def test_auto_on_a_gpu(supported, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert is_mixed("auto", torch.device("cuda")) is supported
