"""Texts to vectors."""


class TextEncoder:
    """The text half of an image-text model, or a sentence encoder by itself."""
