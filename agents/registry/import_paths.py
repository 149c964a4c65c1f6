"""Objects that a user names as `package.module:Name`; see `gf_env.import_paths`."""

from gf_env.import_paths import call_with, is_module_path, load_object

__all__ = ["call_with", "is_module_path", "load_object"]
