"""Accuracy of the ground truth: the studies behind `docs/accuracy.md`."""
