"""Files: tensors with a configuration, torch's pickles, large arrays, and built-in assets."""
