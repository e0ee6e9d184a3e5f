"""Street Fighter II, and the Fighter that stands in for it: one env on one memory layout."""
