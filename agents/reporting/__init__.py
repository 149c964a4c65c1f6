"""What figures are shown with, and what made them."""
