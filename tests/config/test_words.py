"""Words after the commands."""

import pytest

from runner.config.words import Comparison, read_words


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("loader=sequence", Comparison("loader", "=", ("sequence",))),
        ("seed=0,1", Comparison("seed", "=", (0, 1))),
        ("seed!=range(0,3)", Comparison("seed", "!=", (0, 1, 2))),
        ("a.b>=1e-3", Comparison("a.b", ">=", (0.001,))),
        ("a<=0.5", Comparison("a", "<=", (0.5,))),
        ("a<5", Comparison("a", "<", (5,))),
        ("split=null", Comparison("split", "=", (None,))),
        ("data.root='a, b'", Comparison("data.root", "=", ("a, b",))),
        ("data.root=x,'y z'", Comparison("data.root", "=", ("x", "y z"))),
        ("m.filters=[8,16]", Comparison("m.filters", "=", ([8, 16],))),
    ],
)
def test_condition_is_read_by_hydras_grammar(text, asked):
    words = read_words([text], [])
    assert (words.comparisons, words.problems) == ((asked,), ())


def test_arguments_are_split_by_kind():
    words = read_words(["latest", "outputs/runs/x", "format=csv", "seed=1"], ["format"])
    assert words.names == ("latest", "outputs/runs/x")
    assert words.options == {"format": "csv"}
    assert words.comparisons == (Comparison("seed", "=", (1,)),)


def test_every_word_problem_is_reported():
    words = read_words(["a=[", "format=csv,json", "format>1", "b>1,2", "c=glob(x*)"], ["format"])
    assert words.problems == (
        "a=[ cannot be read; close all brackets and quotes",
        "format=csv,json must have one value after =; write a list in brackets, [a,b]",
        "format>1 must have one value after =; write a list in brackets, [a,b]",
        "b>1,2 must compare with one value; only = and != accept several",
        "c=glob(x*) cannot be read; close all brackets and quotes",
    )
