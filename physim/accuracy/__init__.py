"""How true the ground truth is: the studies behind `docs/accuracy.md`."""
