"""The embedding index: built from images or texts, searched by either, added to, deleted from, never wrong on an id."""
