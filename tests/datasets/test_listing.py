import pytest

from fewshot.datasets.listing import files_below, files_in_zip, is_picture, natural_order


def test_natural_order_puts_numbers_in_their_order():
    names = ["b", "a10", "a2", "a", "a2b", "10", "9", "a02"]
    assert sorted(names, key=natural_order) == ["9", "10", "a", "a2", "a02", "a2b", "a10", "b"]


@pytest.mark.parametrize("name", ["1.png", "1.JPG", "1.jpeg", "1.webp", "1.tif", "1.bmp", "1.gif", "1.ppm", "x.y.png"])
def test_pictures_by_their_ending(name):
    assert is_picture(name)


@pytest.mark.parametrize("name", ["1.txt", "png", "1", "1.pdf", "1.h5", "1.mpg", "1.json", "Thumbs.db"])
def test_other_files(name):
    assert not is_picture(name)


def test_hidden_files_are_passed_over(make_folder, make_zip):
    files = {"a/1.png": 1, "a/.2.png": 2, ".git/3.png": 3, "b/c/4.png": 4, "__MACOSX/a/1.png": b""}
    assert files_below(make_folder(files)) == ["__MACOSX/a/1.png", "a/1.png", "b/c/4.png"]
    assert files_in_zip(make_zip(files)) == ["a/1.png", "b/c/4.png"]


def test_links_are_followed_but_never_in_a_circle(make_folder):
    folder = make_folder({"a/1.png": 1})
    other = make_folder({"2.png": 2}, name="elsewhere")
    (folder / "linked").symlink_to(other)
    (folder / "a" / "up").symlink_to(folder)
    (other / "back").symlink_to(folder)
    (folder / "gone").symlink_to(folder / "nowhere")
    assert files_below(folder) == ["a/1.png", "linked/2.png"]
