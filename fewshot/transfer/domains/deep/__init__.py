"""Deep adaptation: a small network learns from the source and from the target it is to predict."""
