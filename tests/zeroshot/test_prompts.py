import pytest

from fewshot.errors import FewshotWarning, InvalidInput
from fewshot.zeroshot import BACKGROUND, template_set
from fewshot.zeroshot.prompts import class_prompts

TWO = template_set(["a {}", "the {}"])


def test_names_templates_and_descriptions_in_order():
    prompts = class_prompts(
        ["big_cat", "犬"], TWO, descriptions={"犬": ["it barks", "it wags"]}, synonyms={"big_cat": "lion"}
    )
    assert prompts == {
        "big_cat": ["a big cat", "the big cat", "a lion", "the lion"],
        "犬": ["a 犬", "the 犬", "it barks", "it wags"],
    }
    assert class_prompts(["big_cat"], TWO, clean=False) == {"big_cat": ["a big_cat", "the big_cat"]}


def test_a_mapping_says_what_classes_are_called():
    prompts = class_prompts(
        {"n01": "tench", "n02": ["goldfish", "carp"]}, template_set("name"), synonyms={"n01": "fish"}
    )
    assert prompts == {"n01": ["tench", "fish"], "n02": ["goldfish", "carp"]}


def test_background_is_one_more_class():
    assert class_prompts(["cat"], TWO, background=["sky", "wall"])[BACKGROUND] == [
        "a sky",
        "the sky",
        "a wall",
        "the wall",
    ]
    assert list(class_prompts(["cat"], TWO, background="sky")) == ["cat", BACKGROUND]


def test_descriptions_alone_and_empty_lists():
    assert class_prompts(["cat"], template_set(None), {"cat": "it purrs"}) == {"cat": ["it purrs"]}
    assert class_prompts(["cat"], TWO, {"cat": []}) == {"cat": ["a cat", "the cat"]}
    with pytest.raises(InvalidInput, match="class 'cat' has no prompt"):
        class_prompts(["cat"], template_set(None), {"cat": []})


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        ([], {}, "a list of one name or more"),
        ("cat", {}, "a list of one name or more, found 'cat'"),
        (["cat", "cat"], {}, "two classes are called 'cat'"),
        (["cat", " "], {}, "needs a name that is text, found ' '"),
        (["cat", 3], {}, "needs a name that is text, found 3"),
        (["cat", BACKGROUND], {"background": "sky"}, "two classes are called 'none of these'"),
        (["cat"], {"descriptions": {"dog": "it barks"}}, "descriptions are of class 'dog', which is none of the 1"),
        (["cat"], {"synonyms": {"cta": "lion"}}, "synonyms are of class 'cta'"),
        (["cat"], {"descriptions": {"cat": ["", "x"]}}, "each description of class 'cat' must be text"),
        (["cat"], {"synonyms": {"cat": [None]}}, "each synonym of class 'cat' must be text"),
        ({"cat": ""}, {}, "each name of class 'cat' must be text"),
    ],
)
def test_refused(names, given, message):
    with pytest.raises(InvalidInput, match=message):
        class_prompts(names, TWO, **given)


def test_classes_that_nothing_tells_apart_are_told():
    with pytest.warns(FewshotWarning, match="'ice_cream' and 'ice-cream' have the same prompts.* never be predicted"):
        assert len(class_prompts(["ice_cream", "ice-cream"], TWO)) == 2
