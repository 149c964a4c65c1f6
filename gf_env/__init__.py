"""GlanceFocus: where to look next, as a Gymnasium environment around GFNet (arXiv 2010.05300).

Importing this package registers `GlanceFocus-v0` and `GlanceFocusGrid-v0`. The public names are
those of `__init__.pyi`; torch is only imported once one of them is used or an environment is made.
"""

import gymnasium
import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def _register() -> None:
    for env_id, kwargs in (("GlanceFocus-v0", {}), ("GlanceFocusGrid-v0", {"grid_size": 7})):
        if env_id not in gymnasium.registry:
            gymnasium.register(
                env_id,
                entry_point="gf_env.envs.env:GlanceFocusEnv",
                vector_entry_point="gf_env.envs.vector_env:GlanceFocusVectorEnv",
                kwargs=kwargs,
            )


_register()
