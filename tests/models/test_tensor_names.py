from models.tensor_names import tensor_names


def test_names_that_tensorflow_takes_stay():
    assert tensor_names(["fare", "Fare_2"]) == {"fare": "fare", "Fare_2": "Fare_2"}


def test_two_columns_never_share_a_name_whatever_their_case():
    columns = [
        "x",
        "X",
        "a b",
        "a_b",
        "a-b",
        "a.b",
        "class",
        "self",
        "_x",
        "1st",
        "東京",
        "東 京",
        " ",
        "  ",
        "q" * 500,
    ]

    names = tensor_names(columns)

    assert len({name.lower() for name in names.values()}) == len(columns)
    assert all(name.isidentifier() and name.isascii() and len(name) <= 100 for name in names.values())


def test_an_alias_does_not_depend_on_the_other_columns():
    assert tensor_names(["hours-per-week"])["hours-per-week"] == tensor_names(["hours-per-week", "a"])["hours-per-week"]
    # sha256 of the name: printf hours-per-week | sha256sum
    assert tensor_names(["hours-per-week"]) == {"hours-per-week": "c_hours_per_week_736f9356c3d08e42"}
