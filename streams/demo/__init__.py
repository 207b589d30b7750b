"""The demonstration: a simulated shop with known truth, and what is shown of it."""
