"""One file a source: what comes before the colon in the name of a backbone."""
