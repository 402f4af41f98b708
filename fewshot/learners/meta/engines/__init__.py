"""Ways to compute the same meta-gradient: one after another, tasks at once, compiled, or by learn2learn."""
