"""The paper's training, phase after phase."""
