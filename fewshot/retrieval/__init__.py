"""The embedding index: built from images or texts, searched by either, added to, deleted from, and never wrong on an id."""
