"""GFNet without its policy: encoders, classifier, their configuration and cost."""
