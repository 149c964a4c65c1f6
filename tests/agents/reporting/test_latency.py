import time

import pytest
import torch

from agents.reporting.latency import Latency, interleaved_latency, measure_latency


class Clock:
    """A clock that only moves when work is done."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        self.events = []
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def work(self, name, seconds):
        """Return a callable that takes so many seconds at each call, in turn."""
        left = iter(seconds)

        def run():
            self.events.append(name)
            self.now += next(left)

        return run


def test_figures_of_the_counted_turns(monkeypatch):
    clock = Clock(monkeypatch)
    found = measure_latency(clock.work("a", [90, 80, 4, 1, 2]), warmup=2, repeats=3)
    assert found == Latency((4, 1, 2))
    assert (found.median, found.minimum, found.maximum) == (2, 1, 4)


def test_turns_are_interleaved(monkeypatch):
    clock = Clock(monkeypatch)
    runs = {"a": clock.work("a", [50, 1, 3]), "b": clock.work("b", [70, 10, 30])}
    found = interleaved_latency(runs, warmup=1, repeats=2)
    assert clock.events == ["a", "b"] * 3
    assert found == {"a": Latency((1, 3)), "b": Latency((10, 30))}
    assert found["b"].median == 20


def test_a_cuda_device_is_waited_for(monkeypatch):
    clock = Clock(monkeypatch)

    def synchronize(device):
        clock.events.append(str(device))
        clock.now += 5  # what was still to be done

    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    run = clock.work("a", [1])
    found = measure_latency(run, warmup=0, repeats=1, device="cuda:1")
    assert clock.events == ["cuda:1", "a", "cuda:1"]
    assert found.median == 6  # the wait afterwards counts, the one before does not


def test_bad_arguments():
    with pytest.raises(ValueError, match="nothing to measure"):
        interleaved_latency({})
    with pytest.raises(TypeError, match=r"expected 'run' to be a callable.*got int"):
        measure_latency(3)
    for warmup, repeats in ((-1, 1), (0, 0)):
        with pytest.raises(ValueError, match=f"got {warmup} and {repeats}"):
            measure_latency(lambda: None, warmup=warmup, repeats=repeats)
