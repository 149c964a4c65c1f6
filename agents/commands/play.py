"""`gf-env play`: a local page on which a person looks where policies look."""

import contextlib
import importlib.util
import socket
from dataclasses import dataclass
from typing import Annotated

import tyro
from rich.console import Console

from agents.registry.choices import LEVEL, one_of
from gf_env.builtin_tasks import BUILTIN_TASKS, DEFAULT_TASK

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Play:
    """Open a local page to play on: look where policies look, on the same scenes.

    A person sees the glance as the network does, clicks where to look, and sees the patch, the
    classes' probabilities and the reward after each look. A game has ten scenes; whoever opens the
    page has a game of their own. It needs `pip install 'gf-env[play]'`, and no network.

    Attributes:
        policies: more that play, beside the paper's policy, the best one of the package and the
            oracle: files or `package.module:Name`.
        task: the first game's; another is chosen on the page.
        level: of that task.
        game: the first game's number; the same number means the same scenes.
        host: the address that is listened on. By default only this machine gets in; 0.0.0.0 lets in
            whoever reaches this machine.
        port: of that address.
        browser: open the page in the browser.
        trust_sb3: load models that Stable-Baselines3 saved (.zip), which may run any code.
    """

    policies: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    task: Annotated[str, one_of(BUILTIN_TASKS)] = DEFAULT_TASK
    level: Annotated[str, LEVEL] = "default"
    game: int = 1
    host: str = LOOPBACK
    port: int = 8765
    browser: bool = True
    trust_sb3: bool = False

    def run(self, console: Console) -> None:
        """Serve the page until it is stopped.

        Raises:
            ValueError: the extra is missing, the game cannot be, a policy does not exist or does
                not fit it, or the port is taken.
            TensorFileError: a damaged file of a policy.
        """
        if importlib.util.find_spec("nicegui") is None:
            raise ValueError("the page needs the extra play: pip install 'gf-env[play]'")
        _check_free(self.host, self.port)
        from agents.play.game import Game
        from agents.play.opponents import Arenas

        arenas = Arenas(self.policies, trust_sb3=self.trust_sb3)
        with console.status("loading policies and scenes"):
            arena = arenas.get(self.task, self.level)
            Game(arena, self.game)
        if arena.left_out:
            raise ValueError(f"a policy does not fit the task: {'; '.join(arena.left_out)}")
        # takes a second, and what is wrong above should be told before
        from agents.play.page import Chosen, serve

        console.print(f"The page is at http://{self.host}:{self.port} until Ctrl-C.")
        chosen = Chosen(self.task, self.level, self.game)
        serve(arenas, chosen, self.host, self.port, browser=self.browser)


def _check_free(host: str, port: int) -> None:
    """Check that a port can be listened on.

    Raises:
        ValueError: it cannot.
    """
    if not 1 <= port <= 65535:
        raise ValueError(f"the port is a number from 1 to 65535, got {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with contextlib.closing(socket.socket(family, kind, protocol)) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        raise ValueError(
            f"cannot listen on {host}, port {port} ({error}); choose others with --host and --port"
        ) from error
