import pytest

from pipeline.config.toml_edit import with_values
from pipeline.errors import ConfigError


def test_a_value_is_replaced_and_everything_else_stays():
    text = '# my data\nname = "x"\n\n[training]\n# less is more\ndropout = 0.2  # tried\nepochs = 4\n\n[serving]\n'

    assert with_values(text, "training", {"dropout": 0.1, "hidden_units": (64, 32)}) == (
        '# my data\nname = "x"\n\n[training]\n# less is more\ndropout = 0.1  # tried\nepochs = 4\n'
        "hidden_units = [64, 32]\n\n[serving]\n"
    )


def test_a_list_over_several_lines_is_replaced_whole():
    text = "[training]\nhidden_units = [\n  64,\n  32,\n]\nepochs = 4\n"
    assert with_values(text, "training", {"hidden_units": (8,)}) == "[training]\nhidden_units = [8]\nepochs = 4\n"


def test_a_table_that_is_not_there_comes_last():
    assert with_values('name = "x"\n', "training", {"calibrate": False}) == (
        'name = "x"\n\n[training]\ncalibrate = false\n'
    )


def test_a_form_that_cannot_be_edited_is_left_alone():
    with pytest.raises(ConfigError, match=r"Write by hand: dropout = 0\.1\."):
        with_values("training = { dropout = 0.2 }\n", "training", {"dropout": 0.1})
