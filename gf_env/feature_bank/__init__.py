"""What a frozen network sees of a data set, computed once."""
