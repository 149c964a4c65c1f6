"""An executor that does runs in the process of the sweep, for tests of something else."""

from agents.benchmark.running.one_run import execute_safely


class InProcess:
    def __init__(self, work):
        self._work = work

    def do(self, waiting):
        while waiting:
            run, folder = waiting.popleft(), self._work.folder
            result = execute_safely(run, folder, lambda line: None, trust_sb3=self._work.trust_sb3)
            self._work.end(run, result)
