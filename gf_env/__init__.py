"""GlanceFocus: where to look next, as a Gymnasium environment around GFNet (arXiv 2010.05300).

Importing this package registers the ids of `gf_env.builtin_tasks`, `GlanceFocus-v0` among them.
The public names are those of `__init__.pyi`; torch is only imported once one of them is used or an
environment is made.
"""

import lazy_loader

from gf_env.envs.registration import register_ids

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register_ids()
