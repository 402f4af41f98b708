"""Picture files: in a folder, or inside a zip that is read in place."""

import os
import zipfile
import zlib
from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, cast

from PIL import Image

from fewshot.datasets.decoding import decode, has_picture_header
from fewshot.datasets.images import Images
from fewshot.errors import BrokenImages, MissingData, UnreadableFile

# what is raised for a file that is gone, or garbled inside its zip, or packed by a method Python lacks
_UNREADABLE = (OSError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error)


class EncodedImages(Images):
    """Pictures as files of any format that Pillow reads; `names` are their paths below `path`, with `/`."""

    def __init__(self, path: str | Path, names: Sequence[str]) -> None:
        self.path = Path(path)
        self.names = tuple(names)

    @abstractmethod
    def open(self, index: int) -> BinaryIO:
        """The file at `index`, open to read."""

    def read(self, index: int) -> bytes:
        """The bytes of the file at `index`; raises `BrokenImages` where they cannot be had."""
        try:
            with self.open(index) as file:
                return file.read()
        except _UNREADABLE:
            raise BrokenImages(self.path.name, [self.names[index]]) from None

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Image.Image:
        return decode(self.read(index), self.names[index], self.path.name)

    def same(self, first: int, second: int) -> bool:
        """Compare the files byte for byte."""
        return self.read(first) == self.read(second)

    def suspects(self) -> list[int]:
        """Empty files and files without a picture header."""
        with ThreadPoolExecutor() as pool:
            good = list(pool.map(self._looks_good, range(len(self))))
        return [index for index, is_good in enumerate(good) if not is_good]

    def describe(self) -> dict[str, Any]:
        """Kind, name of the folder or zip, and number."""
        return {"source": type(self).__name__, "path": self.path.name, "images": len(self)}

    def _looks_good(self, index: int) -> bool:
        try:
            with self.open(index) as file:
                return has_picture_header(file)
        except _UNREADABLE:
            return False


class FileImages(EncodedImages):
    """Picture files in a folder; a digest is a hash of the file."""

    def open(self, index: int) -> BinaryIO:
        """The file, open to read."""
        return (self.path / self.names[index]).open("rb")

    def digest(self, index: int) -> str:
        """A hash of the file, or what the zip keeps of it."""
        return blake2b(self.read(index), digest_size=16).hexdigest()

    def digests(self) -> list[str]:
        """All hashes, by several threads."""
        with ThreadPoolExecutor() as pool:  # reading and hashing both run outside the interpreter lock
            return list(pool.map(self.digest, range(len(self))))


class ZipImages(EncodedImages):
    """Picture files inside a zip, read in place; a digest is checksum and size as the zip's directory gives them.

    Raises `MissingData` where there is no such file, `UnreadableFile` where it is not a whole, open zip.
    """

    quick_digests = True

    def __init__(self, path: str | Path, names: Sequence[str]) -> None:
        super().__init__(path, names)
        self._opened: tuple[int, zipfile.ZipFile] | None = None

    def open(self, index: int) -> BinaryIO:
        """The file inside the zip, open to read."""
        return cast(BinaryIO, self._archive().open(self.names[index]))

    def digest(self, index: int) -> str:
        """A hash of the file, or what the zip keeps of it."""
        entry = self._archive().getinfo(self.names[index])
        return f"{entry.CRC:08x}-{entry.file_size}"

    def _archive(self) -> zipfile.ZipFile:
        # a handle shared between processes shares its position, so each process opens its own
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), open_zip(self.path))
        return self._opened[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}


def open_zip(path: str | Path) -> zipfile.ZipFile:
    """Open a zip to read; raises `MissingData` or `UnreadableFile` with the reason."""
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise MissingData(f"{path} does not exist") from None
    except (zipfile.BadZipFile, OSError) as error:
        raise UnreadableFile(f"{path} is not a readable zip ({error}); it was cut short or is another file") from None
    if any(entry.flag_bits & 1 for entry in archive.infolist()):
        raise UnreadableFile(f"{path} is encrypted; unpack it and load the folder")
    return archive
