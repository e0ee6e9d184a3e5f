"""What is seen and remembered."""
