"""Policies for GlanceFocus: rules, upper bounds, the paper's policy, and the bridge to SB3.

The public names are those of `__init__.pyi`, imported when they are used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
